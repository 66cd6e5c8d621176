"""Images that are there more than once: across splits, under different labels, or merely twice."""

from __future__ import annotations

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.sentences import counted
from harness.records import Progress

LEAKS = (
    ("train", "validation", "training", "the score that chooses the best trial"),
    ("train", "test", "training", "the test score"),
    ("validation", "test", "validation", "the test score"),
)
"""Two splits, what images of the first are called (a sweep leaves out those that are in both), and what they
would make look better than it is."""


def same_pixels(facts: Facts) -> list[list[int]]:
    """Numbers of the images that are pixel for pixel the same as a sweep sees them, two or more in each."""
    by_pixels: dict[int, list[int]] = {}
    for number in facts.readable:
        by_pixels.setdefault(facts.images[number].pixels, []).append(number)
    return [numbers for numbers in by_pixels.values() if len(numbers) > 1]


def _leaks(facts: Facts, _: Progress) -> list[Finding]:
    found = []
    for one, other, called, what in LEAKS:
        groups, doubled = [], 0
        for numbers in same_pixels(facts):
            here = [number for number in numbers if facts.images[number].pool == one]
            there = [number for number in numbers if facts.images[number].pool == other]
            if here and there:
                groups.append(_group(facts, [*here, *there]))
                doubled += len(there)
        if groups:
            found.append(
                Finding(
                    severity="error",
                    sentence=f"{_are(facts, doubled, f'{other} ')} among the {called} {facts.noun}s as "
                    f"well: a leak, which would flatter {what}. A sweep leaves them out of "
                    f"{'training' if one == 'train' else one}; other tools will not. Remove them from one "
                    "of the two splits.",
                    groups=tuple(groups),
                )
            )
    return found


def _conflicts(facts: Facts, _: Progress) -> list[Finding]:
    groups = [numbers for numbers in same_pixels(facts) if len(facts.labels(numbers)) > 1]
    if not groups:
        return []
    images = sum(map(len, groups))
    return [
        Finding(
            severity="error",
            sentence=f"{counted(len(groups), 'picture is', 'pictures are')} there under different labels "
            f"({images:,} {facts.noun}s): a conflict, since no model can be right on both. Decide which "
            "label is right, and remove the others.",
            groups=tuple(
                _group(facts, numbers, f"labelled {' and '.join(facts.labels(numbers))}, ")
                for numbers in groups
            ),
        )
    ]


def _duplicates(facts: Facts, _: Progress) -> list[Finding]:
    groups = [
        numbers
        for numbers in same_pixels(facts)
        if len(facts.labels(numbers)) == 1 and len({facts.images[number].pool for number in numbers}) == 1
    ]
    if not groups:
        return []
    more = sum(map(len, groups)) - len(groups)
    return [
        Finding(
            severity="note",
            sentence=f"{_are(facts, more)} there again under the same label. A sweep keeps identical "
            f"{facts.noun}s on one side of every split that it draws; they only count more often.",
            groups=tuple(_group(facts, numbers) for numbers in groups),
        )
    ]


def _are(facts: Facts, number: int, which: str = "") -> str:
    return counted(number, f"{which}{facts.noun} is", f"{which}{facts.noun}s are")


def _group(facts: Facts, numbers: list[int], also: str = "") -> Group:
    contents = {facts.images[number].content for number in numbers}
    if len(contents) == 1 and "" not in contents:
        return Group(tuple(numbers), f"{also}the same byte for byte")
    height, width, _ = facts.image_shape
    return Group(tuple(numbers), f"{also}the same pixel for pixel at {height}×{width}")


LEAK = Check(about="identical images in two splits", find=_leaks)
CONFLICT = Check(about="identical images under different labels", find=_conflicts)
DUPLICATE = Check(about="identical images", find=_duplicates)
