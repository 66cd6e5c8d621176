"""The values that one parameter may take: ranges, choices and constants, and how they are listed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from harness.records import Scalar


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    step: int | None = None
    log: bool = False


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Numbers from `low` to `high`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values."""

    choices: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """One value; nothing is sampled."""

    value: Scalar


MAX_LISTED = 1_000_000
"""Values of one parameter beyond which a range counts as continuous."""
Distribution: TypeAlias = IntRange | FloatRange | Choice


def every(values: Distribution) -> Iterator[Any]:
    """All values, in order."""
    if isinstance(values, Choice):
        yield from values.choices
    elif isinstance(values, IntRange):
        yield from range(values.low, values.high + 1, values.step or 1)
    elif values.step is not None:
        yield from (stepped(values, index) for index in range(steps_of(values) + 1))
    else:
        value = values.low
        while value <= values.high:
            yield value
            value = math.nextafter(value, math.inf)


def listed(values: Distribution | Constant) -> list[Any] | None:
    """All values, in order; None for a continuous range, and for one that is as good as continuous."""
    if isinstance(values, Constant):
        return [values.value]
    if isinstance(values, FloatRange) and values.step is None:
        return [values.low] if values.low == values.high else None
    steps = len(values.choices) if isinstance(values, Choice) else steps_of(values)
    return None if steps > MAX_LISTED else list(every(values))


def contains(values: Distribution | Constant, value: Any) -> bool:
    """Whether a value, as it stands in a file, is one of these."""
    if isinstance(values, (IntRange, FloatRange)):
        return isinstance(value, (int, float)) and values.low <= value <= values.high
    return value in (listed(values) or [])


def is_number(value: Any) -> bool:
    """Whether it is a finite number that fits a double."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def on_a_step(values: FloatRange, value: float) -> float:
    """The value of a range with steps that is meant by a number a rounding error away from it."""
    assert values.step is not None
    return stepped(values, min(round((value - values.low) / values.step), steps_of(values)))


def steps_of(values: IntRange | FloatRange) -> int:
    """How many steps there are from the lowest to the highest value."""
    low, high, step = (Decimal(str(value)) for value in (values.low, values.high, values.step or 1))
    return int((high - low) // step)


def stepped(values: FloatRange, index: int) -> float:
    """The value `index` steps above the lowest, as a person would write it: 0.3, not 0.30000000000000004."""
    return min(float(Decimal(str(values.low)) + index * Decimal(str(values.step))), values.high)
