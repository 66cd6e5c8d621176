"""Pairs of images that are alike, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group, Severity
from harness.data.sentences import counted

MOST = 10_000
"""Pairs that are told one by one in a finding, the most alike first."""


class Pair(NamedTuple):
    """Two images, by their numbers."""

    one: int
    other: int
    likeness: float
    """From 0 to 1."""


def say_pairs(
    facts: Facts, pairs: Sequence[Pair], how: str, measure: str, advice: str, *, complete: bool = True
) -> list[Finding]:
    """Findings about pairs: those under different labels, those in different splits, and the rest.

    Args:
        facts: the data set.
        pairs: of different images.
        how: how they are alike: `nearly the same`.
        measure: what their likeness is.
        advice: what to do about those in different splits, in a sentence.
        complete: whether there are no more than these.
    """
    labels: list[Pair] = []
    splits: list[Pair] = []
    unused: list[Pair] = []
    rest: list[Pair] = []
    for pair in pairs:
        one, other = facts.images[pair.one], facts.images[pair.other]
        if one.label != other.label:
            labels.append(pair)
        elif one.split == other.split:
            rest.append(pair)
        else:
            (splits if facts.dataset is None or (one.part and other.part) else unused).append(pair)
    more = "" if complete else " There may be more: not all pairs were compared."
    every: tuple[tuple[list[Pair], Severity, str], ...] = (
        (
            labels,
            "warning",
            "under different labels: one of the two labels may be wrong. Look at them, and correct or remove "
            "what is.",
        ),
        (
            splits,
            "warning",
            f"in different splits: the score of one split may be flattered by the other. {advice}",
        ),
        (
            unused,
            "note",
            "in different splits, of which a sweep uses one image at most. Other tools will use both.",
        ),
        (rest, "note", "under the same label in the same split. They bring less than their number suggests."),
    )
    return [
        Finding(
            severity=severity,
            sentence=f"{counted(len(found), 'pair of images is', 'pairs of images are')} {how}, {what}{more}",
            groups=tuple(
                Group((pair.one, pair.other), f"{_where(facts, pair)}{measure} {pair.likeness:.3f}")
                for pair in sorted(found, key=lambda pair: -pair.likeness)[:MOST]
            ),
        )
        for found, severity, what in every
        if found
    ]


def _where(facts: Facts, pair: Pair) -> str:
    one, other = facts.images[pair.one], facts.images[pair.other]
    if one.label != other.label:
        return f"labelled {facts.classes[one.label]} and {facts.classes[other.label]}, "
    return f"in {one.split} and {other.split}, " if one.split != other.split else ""
