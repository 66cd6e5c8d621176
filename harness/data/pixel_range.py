"""Which values of a source are black and white: one decision for all its pixels, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

Range = tuple[float, float]
"""The values that become 0 and 255."""
SLACK = 1e-6
"""Below 0, as rounding leaves it."""
JUST_ABOVE_ONE = 1.001
SURELY_255 = 64.0
"""Floats that reach this, and no more than 255, are meant on that scale."""
DARK = 32
"""Bytes that never reach this are likely to be something else than brightness."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What the pixels of one part of a source reach from and to."""

    kind: str
    """NumPy's letter: `b` bool, `u` and `i` whole numbers, `f` floating-point."""
    bits: int
    low: float
    high: float

    @property
    def name(self) -> str:
        """The type's name."""
        return {"b": "bool", "u": f"uint{self.bits}", "i": f"int{self.bits}", "f": f"float{self.bits}"}[
            self.kind
        ]


@dataclass(frozen=True, slots=True)
class Choice:
    """How values become bytes."""

    pixel_range: Range | None
    """The values that become 0 and 255; None if values are kept as they are."""
    sentence: str
    """A sentence about the choice; empty if there is nothing to say."""


class UnknownRangeError(Exception):
    """It is not clear which values are black and white; the message says why, without a full stop."""


def extent_of(values: npt.NDArray[np.generic]) -> Extent:
    """The extent of an array of numbers, not empty."""
    kind = values.dtype.kind
    low, high = (float(found) for found in (values.min(), values.max()))
    return Extent("u" if kind == "u" else kind, 8 * values.dtype.itemsize, low, high)


def merged(extents: Iterable[Extent]) -> list[Extent]:
    """One extent for each type of numbers."""
    found: dict[tuple[str, int], Extent] = {}
    for one in extents:
        key = (one.kind, one.bits)
        known = found.get(key, one)
        found[key] = Extent(one.kind, one.bits, min(known.low, one.low), max(known.high, one.high))
    return list(found.values())


def choose_range(extents: Iterable[Extent]) -> Choice:
    """The range of a source's pixels from the types and extents of all its parts.

    Floats up to 1 are shares of 255, and floats that go well beyond 1 are on the scale to 255. Whole numbers
    up to
    1 are black and white, those up to 255 bytes, larger ones have the fewest bits that hold the largest.

    Raises:
        UnknownRangeError: they may be meant in several ways.
    """
    every = merged(extents)
    low, high = min(one.low for one in every), max(one.high for one in every)
    types = " and ".join(dict.fromkeys(one.name for one in every))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnknownRangeError(f"the {types} pixels hold values that are no numbers (NaN or infinite)")
    choices = {_of_floats(every), _of_integers(every)} - {None}
    if len(choices) != 1:
        each = ", ".join(f"{one.name} from {one.low:g} to {one.high:g}" for one in every)
        raise UnknownRangeError(f"the pixels have different scales ({each})")
    (found,) = choices
    assert found is not None
    if found == (0.0, 255.0) and all(one.kind != "f" for one in every):
        return Choice(None, _as_they_are(every, types, high))
    return Choice(found, _scaled(every, types, found, high))


def to_bytes(values: npt.NDArray[np.generic], pixel_range: Range) -> npt.NDArray[np.uint8]:
    """Values as bytes: the range is spread over 0…255, rounded; what lies outside is clipped."""
    low, high = pixel_range
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.clip(np.round(scaled), 0, 255).astype(np.uint8)


def outside(values: npt.NDArray[np.generic], pixel_range: Range) -> int:
    """How many values lie outside the range."""
    found: Any = values
    return int(((found < pixel_range[0]) | (found > pixel_range[1])).sum())


def proposal(extents: Iterable[Extent]) -> str:
    """How the user says which values are black and white."""
    every = merged(extents)
    low, high = min(one.low for one in every), max(one.high for one in every)
    shown = f"{low:g}, {high:g}" if np.isfinite(low) and np.isfinite(high) and low < high else "LOW, HIGH"
    return f"Say which values are black and white, for example --set 'dataset.range=[{shown}]'"


def given_range(pixel_range: Range, outside: int) -> str:
    """The sentence about a range that the user gave."""
    clipped = f"; {outside:,} values outside were clipped" if outside else ""
    low, high = pixel_range
    return f"pixels from {low:g} to {high:g} were spread over 0…255 (dataset.range){clipped}"


def checked(extents: list[Extent], where: str) -> Choice:
    """`choose_range`, with the place in front of the sentence; raises DataError where it is not clear."""
    try:
        found = choose_range(extents)
    except UnknownRangeError as error:
        raise DataError(
            f"{where}: {error}; pixels must lie between 0 and 255, or 0 and 1. {proposal(extents)}."
        ) from error
    return Choice(found.pixel_range, f"{where}: {found.sentence}." if found.sentence else "")


def _of_floats(every: list[Extent]) -> Range | None:
    floats = [one for one in every if one.kind == "f"]
    if not floats:
        return None
    low, high = min(one.low for one in floats), max(one.high for one in floats)
    reach = f"the floating-point pixels reach from {low:g} to {high:g}"
    if low >= -SLACK and high <= JUST_ABOVE_ONE:
        return 0.0, 1.0
    if low >= -SLACK and SURELY_255 <= high <= 255.0 * JUST_ABOVE_ONE:
        return 0.0, 255.0
    raise UnknownRangeError(f"{reach}, and it is not clear which values are black and white")


def _of_integers(every: list[Extent]) -> Range | None:
    whole = [one for one in every if one.kind != "f"]
    if not whole:
        return None
    low, high = min(one.low for one in whole), max(one.high for one in whole)
    if low < 0 or high > 2**16 - 1:
        raise UnknownRangeError(
            f"the {' and '.join(one.name for one in whole)} pixels reach from {low:g} to {high:g}, and it is "
            "not clear which values are black and white"
        )
    if high <= 1:
        return 0.0, 1.0
    return 0.0, float(2 ** max(8, int(high).bit_length()) - 1)


def _as_they_are(every: list[Extent], types: str, high: float) -> str:
    only_bytes = all(one.kind == "u" and one.bits == 8 for one in every)
    if high < DARK:
        return (
            f"the largest of the {types} pixels is {high:g}, so that all images are nearly black. If "
            f"{high:g} is white: --set 'dataset.range=[0, {high:g}]'"
        )
    return "" if only_bytes else f"{types} pixels in 0…255 are taken as they are, rounded to 8 bits"


def _scaled(every: list[Extent], types: str, found: Range, high: float) -> str:
    if found[1] == 255.0:
        return f"{types} in 0…255 → rounded to 8 bits"
    if found[1] == 1.0:
        kind = "" if any(one.kind == "f" for one in every) else " (black and white)"
        return f"{types} in 0…1{kind} → ×255, rounded to 8 bits"
    bits, levels = int(found[1]).bit_length(), int(np.floor(high * 255 / found[1] + 0.5)) + 1
    return (
        f"{types} up to {high:g} → taken as {bits} bits, 0…{found[1]:g} → 0…255, so that at most {levels} "
        f"grey levels are left. Otherwise: --set 'dataset.range=[0, {high:g}]'"
    )
