"""Images that are nearly the same: compressed again, scaled, made brighter, the next shot of a burst."""

from __future__ import annotations

from harness.audit.facts import Facts
from harness.audit.finding import Finding
from harness.audit.identical import same_pixels
from harness.audit.kind import Check
from harness.audit.pairs import Pair, say_pairs
from harness.data.near_duplicates import near_pairs, why_not
from harness.records import Progress


def _find(facts: Facts, progress: Progress) -> list[Finding]:
    again: set[int] = set()
    for same in same_pixels(facts):  # one that a sweep uses stands for all of them
        again |= {*same} - {next((number for number in same if facts.images[number].part), same[0])}
    numbers = [number for number in facts.readable if number not in again]
    reason = why_not(facts.image_shape, len(numbers))
    if reason:
        return [Finding(severity="note", sentence=f"Near-duplicates were not looked for: {reason}.")]
    found = near_pairs(lambda at: facts.pixels(numbers[at]), len(numbers), progress)
    pairs = [
        Pair(numbers[one], numbers[other], correlation)
        for (one, other), correlation in zip(found.pairs.tolist(), found.correlation.tolist(), strict=True)
    ]
    return say_pairs(
        facts,
        pairs,
        "nearly the same",
        "correlation of the pixels",
        "Keep such images on one side of every split with --set dataset.keep_together=near_duplicates, or "
        "remove one of each.",
        complete=found.complete,
    )


CHECK = Check(about="near-duplicates by perceptual hash", find=_find, images_only=True)
