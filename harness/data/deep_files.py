"""The range of pixels of files with more than 8 bits a channel, chosen for all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.data.pixel_range import (
    Choice,
    Extent,
    Range,
    UnknownRangeError,
    choose_range,
    given_range,
    proposal,
)
from harness.data.sentences import counted

_AS_BYTES: Range = (0.0, 255.0)
Row: TypeAlias = tuple[str, int]
"""Pool, and row in its arrays."""


@dataclass(frozen=True, slots=True)
class DeepFiles:
    """What becomes of the files with more than 8 bits a channel."""

    pixel_range: Range | None = None
    """Values that become 0 and 255; None if there are no such files, or none whose range is known."""
    said: list[str] = field(default_factory=list)
    """Sentences about how the files' values are taken."""
    again: set[Row] = field(default_factory=set)
    """Files that are to be decoded again, with the range."""
    failures: dict[Row, str] = field(default_factory=dict)
    """Files that cannot be used, and why."""


def judge_deep(deep: Mapping[Row, Extent], given: Range | None, clipped: int) -> DeepFiles:
    """Choose a range.

    Args:
        deep: what is known of the values in each file with more than 8 bits a channel.
        given: the range that the user has set.
        clipped: values outside of it.
    """
    if not deep:
        unused = "Not used: dataset.range, for no image has more than 8 bits a channel."
        return DeepFiles(said=[unused] if given else [])
    if given is not None:
        return DeepFiles(given, [f"{_number(deep)}: {given_range(given, clipped)}."])
    for kinds in ("biuf", "biu", "f"):  # all together, or those that have one scale
        group = {row: extent for row, extent in deep.items() if extent.kind in kinds}
        choice = _choice(group.values())
        if choice is not None:
            # Those of 8 bits in a file of 16 would otherwise lose them all.
            pixel_range = choice.pixel_range or _AS_BYTES
            another = f"its pixels have another scale than those of {_number(group)}"
            others = dict.fromkeys((row for row in deep if row not in group), another)
            return DeepFiles(pixel_range, [f"{_number(group)}: {choice.sentence}."], set(group), others)
    return DeepFiles(failures=dict.fromkeys(deep, _why_unknown(deep)))


def _choice(group: Iterable[Extent]) -> Choice | None:
    extents = list(group)
    try:
        return choose_range(extents) if extents else None
    except UnknownRangeError:
        return None


def _why_unknown(deep: Mapping[Row, Extent]) -> str:
    try:
        choose_range(deep.values())
    except UnknownRangeError as error:
        return f"it has more than 8 bits a channel, and {error}. {proposal(deep.values())}"
    raise AssertionError


def _number(deep: Mapping[Row, Extent]) -> str:
    return f"{counted(len(deep), 'image')} with more than 8 bits a channel"
