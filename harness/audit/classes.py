"""Classes that are too small, or much smaller than others, and splits that are too small to judge by."""

from __future__ import annotations

import math

from harness.audit.facts import Facts
from harness.audit.finding import Finding
from harness.audit.kind import Check
from harness.data.sentences import counted, listed
from harness.records import Progress

IMBALANCE = 3
"""The largest class over the smallest, from which accuracy is a poor objective."""
FEW = 10
"""Training images of a class below which it can hardly be learnt."""
SMALL = 300
"""Images of a split below which a score is coarse."""
PARTS = ("validation", "test")


def _find(facts: Facts, _: Progress) -> list[Finding]:
    if facts.dataset is None:
        return []
    counts = facts.counts()
    train = {name: counts[name]["train"] for name in facts.classes}
    return [*_without(facts), *_few(facts, train), *_imbalance(facts, train), *_small(facts)]


def _without(facts: Facts) -> list[Finding]:
    counts, found = facts.counts(), []
    for part in PARTS:
        none = [name for name in facts.classes if not counts[name][part]]
        if none and any(counts[name][part] for name in facts.classes):
            found.append(
                Finding(
                    severity="warning",
                    sentence=f"{counted(len(none), 'class has', 'classes have')} no {part} {facts.noun}s, "
                    f"so that nothing is known of how well they do there: {listed(none, 8)}. Add some.",
                )
            )
    return found


def _few(facts: Facts, train: dict[str, int]) -> list[Finding]:
    few = {name: count for name, count in train.items() if count < FEW}
    if not few:
        return []
    named = listed([f"{name} ({count})" for name, count in sorted(few.items(), key=lambda one: one[1])], 8)
    return [
        Finding(
            severity="warning",
            sentence=f"{counted(len(few), 'class has', 'classes have')} fewer than {FEW} training "
            f"{facts.noun}s: {named}. Add {facts.noun}s, or leave them out with dataset.ignore.",
        )
    ]


def _imbalance(facts: Facts, train: dict[str, int]) -> list[Finding]:
    rare, common = min(train, key=lambda name: train[name]), max(train, key=lambda name: train[name])
    if train[common] < IMBALANCE * max(train[rare], 1):
        return []
    return [
        Finding(
            severity="warning",
            sentence=f"The classes are imbalanced: {common} has {train[common]:,} training {facts.noun}s, "
            f"{rare} {train[rare]:,}. Accuracy says little about rare classes; consider val_f1_macro as the "
            "objective, and the experiment `imbalanced`.",
        )
    ]


def _small(facts: Facts) -> list[Finding]:
    assert facts.dataset is not None
    found = []
    for part in PARTS:
        images = facts.dataset.counts[part]
        if 0 < images < SMALL:
            spread = 100 * 1.96 * math.sqrt(0.1 * 0.9 / images)
            found.append(
                Finding(
                    severity="note",
                    sentence=f"The {part} split has {counted(images, facts.noun)}: one is {100 / images:.1f} "
                    f"points of accuracy, and 90 % means 90 ± {spread:.0f}. Smaller differences are luck.",
                )
            )
    return found


CHECK = Check(about="small or imbalanced classes, and splits that are too small", find=_find)
