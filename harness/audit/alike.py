"""Images that a pretrained network takes for the same: other crops, other light, the next shot of a burst."""

from __future__ import annotations

import numpy as np

from harness.audit.facts import Facts
from harness.audit.features import ImageFeatures, cached_features
from harness.audit.finding import Finding
from harness.audit.kind import Check
from harness.audit.pairs import Pair, say_pairs
from harness.data.near_duplicates import are_near
from harness.records import Progress

SIMILARITY = 0.95
"""Cosine of two images' centred features from which they are taken for the same."""
MOST_IMAGES = 30_000
"""Above, there are too many pairs to compare."""
MOST_PAIRS = 200_000
ROWS = 256
"""Images that are compared with all others at a time."""
LABEL = "comparing features"


def _find(facts: Facts, progress: Progress) -> list[Finding]:
    known = cached_features(facts)
    if known is None:
        return []
    if len(known.numbers) > MOST_IMAGES:
        return [
            Finding(
                severity="note",
                sentence=f"The features of {len(known.numbers):,} images were not compared: they have "
                "too many pairs.",
            )
        ]
    pairs, complete = _similar(facts, known, progress)
    return say_pairs(
        facts,
        pairs,
        "much alike to a pretrained network, though not in their pixels",
        "cosine of the features",
        "Keep those that belong together on one side of every split by naming them (dataset.groups), or "
        "remove one of each.",
        complete=complete,
    )


def _similar(facts: Facts, known: ImageFeatures, progress: Progress) -> tuple[list[Pair], bool]:
    """Pairs whose features are similar and whose pixels are not; and whether these are all."""
    centred = known.values - known.values.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    picture = np.array([image.pixels for image in facts.images], np.uint64)[known.numbers]
    places, cosines, total = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)], 0
    for start in range(0, len(unit), ROWS):
        found = unit[start : start + ROWS] @ unit[start:].T
        one, other = np.nonzero(found >= SIMILARITY)
        wanted = (other > one) & (picture[start + one] != picture[start + other])
        places.append(np.stack([one[wanted], other[wanted]], axis=1) + start)
        cosines.append(found[one[wanted], other[wanted]])
        total += len(places[-1])
        progress(LABEL, min(start + ROWS, len(unit)), len(unit))
        if total > MOST_PAIRS:
            break
    every, likeness = np.concatenate(places)[:MOST_PAIRS], np.concatenate(cosines)[:MOST_PAIRS]
    numbers = known.numbers[every]
    apart = ~are_near(facts.pixels, numbers)
    pairs = [
        Pair(one, other, cosine)
        for (one, other), cosine in zip(numbers[apart].tolist(), likeness[apart].tolist(), strict=True)
    ]
    return pairs, total <= MOST_PAIRS


CHECK = Check(about="near-duplicates by features of a pretrained network", find=_find, images_only=True)
