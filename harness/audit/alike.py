"""Images that a pretrained network takes for the same: other crops, other light, the next shot of a burst."""

from __future__ import annotations

import numpy as np

from harness.audit.facts import Facts
from harness.audit.features import cached_features
from harness.audit.finding import Finding
from harness.audit.kind import Check
from harness.audit.near import are_near
from harness.audit.pairs import Pair, say_pairs
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
    centred = known.values - known.values.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    pairs: list[Pair] = []
    for start in range(0, len(unit), ROWS):
        cosines = unit[start : start + ROWS] @ unit[start:].T
        for one, other in np.argwhere(cosines >= SIMILARITY).tolist():
            numbers = int(known.numbers[start + one]), int(known.numbers[start + other])
            same = facts.images[numbers[0]].pixels == facts.images[numbers[1]].pixels
            if other > one and not same and len(pairs) < MOST_PAIRS and not are_near(facts, *numbers):
                pairs.append(Pair(*numbers, float(cosines[one, other])))
        progress(LABEL, min(start + ROWS, len(unit)), len(unit))
    return say_pairs(
        facts,
        pairs,
        "much alike to a pretrained network, though not in their pixels",
        "cosine of the features",
        complete=len(pairs) < MOST_PAIRS,
    )


CHECK = Check(about="near-duplicates by features of a pretrained network", find=_find)
