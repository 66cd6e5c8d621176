"""Images that seem to be of another class than their label says."""

from __future__ import annotations

import numpy as np

from harness.audit.confident import contradicted, out_of_fold
from harness.audit.facts import Facts
from harness.audit.features import cached_features, pixel_features
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.sentences import counted
from harness.records import Progress

MOST = 50
"""Suspects that are told, the most doubtful first."""
UNSURE = 0.5
"""The share of right predictions below which they say nothing about labels."""
LEAST = 20
"""Images below which nothing can be learnt to judge labels by."""


def _find(facts: Facts, progress: Progress) -> list[Finding]:
    found = _suspects(facts, progress)
    return [found] if found is not None else []


def _suspects(facts: Facts, progress: Progress) -> Finding | None:
    if facts.dataset is None:
        return None
    cached = cached_features(facts)
    known = cached or pixel_features(facts, progress)
    labels = np.array([facts.images[number].label for number in known.numbers.tolist()], np.int64)
    pixels = [facts.images[number].pixels for number in known.numbers.tolist()]
    _, groups = np.unique(np.array(pixels, np.uint64), return_inverse=True)
    numbers, values = known.numbers, known.values
    if len(labels) < LEAST or min(len(set(groups[labels == at])) for at in range(len(facts.classes))) < 2:
        return None
    probabilities = out_of_fold(values, labels, groups.astype(np.int64), facts.seed, progress)
    right = float(np.mean(probabilities.argmax(axis=1) == labels))
    by = (
        "features of a pretrained network"
        if cached
        else "simple features of the pixels, which know little (the extra `pretrained` brings better ones)"
    )
    if right < UNSURE:
        return Finding(
            severity="note",
            sentence=f"Wrong labels were not looked for: out-of-fold predictions from {by} are right on only "
            f"{right:.0%} of the images, too few to doubt a label by.",
        )
    order, others = contradicted(probabilities, labels)
    if not len(order):
        return None
    groups_found = []
    for at, other in list(zip(order.tolist(), others.tolist(), strict=True))[:MOST]:
        number = int(numbers[at])
        groups_found.append(
            Group(
                (number,),
                f"labelled {facts.label(number)} ({probabilities[at, labels[at]]:.2f}), seems to be "
                f"{facts.classes[other]} ({probabilities[at, other]:.2f})",
            )
        )
    first = f" The first {MOST} are listed." if len(order) > MOST else ""
    return Finding(
        severity="note",
        sentence=f"{counted(len(order), 'image')} of the training and validation splits may be mislabelled: "
        f"out-of-fold predictions from {by} are confident of another class, and right on {right:.0%} of all "
        f"images.{first} Look at them; test images are left out, since nothing may predict on them.",
        groups=tuple(groups_found),
    )


CHECK = Check(about="labels that predictions contradict", find=_find, images_only=True)
