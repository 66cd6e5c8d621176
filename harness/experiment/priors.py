"""What a practitioner says is probably good of one parameter: a prior over its range or choices.

    l2: {type: float, low: 1e-6, high: 1e-2, log: true, prior: 1e-4}
    dropout: {type: float, low: 0.0, high: 0.5, prior: {center: 0.1, spread: 0.05}}
    optimizer: {type: categorical, choices: [sgd, adam, adamw], prior: {adam: 3, adamw: 2}}

Of numbers it is a normal distribution on the range's own scale, cut off at the range's ends.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

from harness.experiment.distributions import (
    Choice,
    Constant,
    Distribution,
    FloatRange,
    IntRange,
    contains,
    is_number,
    on_a_step,
)
from harness.messages import nearest, shown
from harness.records import Scalar

USUAL_SPREAD = 0.2
"""The spread of a prior of which only the centre is given, as a share of the range on its own scale."""


class PriorError(ValueError):
    """What is said of a parameter says nothing sensible; with a sentence."""


@dataclass(frozen=True, slots=True)
class Around:
    """Numbers near `center` are probably good: a normal distribution on the range's own scale."""

    center: float
    spread: float
    """Its standard deviation: a difference; on a logarithmic range a factor, above 1."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Some choices are probably better than others."""

    weights: tuple[float, ...]
    """How probable each choice is beside the others, in their order; each above 0."""


Prior: TypeAlias = Around | Weights


def read_prior(values: Distribution | Constant, written: Any) -> Prior:
    """What stands after `prior`; raises PriorError with a sentence if it says nothing sensible.

    Args:
        values: the range or the choices beside it.
        written: the value as it is written.
    """
    if isinstance(values, Constant):
        raise PriorError("a constant has none, because nothing is searched; leave it out")
    if isinstance(values, Choice):
        return _weights(values, written)
    center, spread = written, None
    if isinstance(written, dict):
        if unknown := written.keys() - {"center", "spread"}:
            word = str(min(unknown, key=str))
            raise PriorError(
                f"there is no key {shown(word)}; there are center and spread"
                f"{nearest(word, ['center', 'spread'])}"
            )
        if "center" not in written:
            raise PriorError("center is missing")
        center, spread = written["center"], written.get("spread")
    if not is_number(center):
        raise PriorError(
            f"{shown(center)} is not allowed; it must be a number within the range, or "
            "{center: …, spread: …}"
        )
    if not contains(values, center):
        raise PriorError(f"{shown(center)} is outside of the range {_range(values)}")
    return Around(float(center), usual_spread(values) if spread is None else _spread(values, spread))


def usual_spread(values: IntRange | FloatRange) -> float:
    """The spread of a prior of which only the centre is given."""
    low, high = ends(values)
    width = USUAL_SPREAD * (high - low)
    # Of a range that is hardly wider than one value, the factor would be rounded to 1.
    return max(math.exp(width), math.nextafter(1.0, 2.0)) if values.log else width


NARROWEST = 1e-150
"""The smallest spread on a range's own scale, whose square is no zero yet: a range may be one value wide."""


def ends(values: IntRange | FloatRange) -> tuple[float, float]:
    """A range's ends on its own scale; those of whole numbers and steps reach half a step beyond them."""
    half = (values.step or 1) / 2 if isinstance(values, IntRange) else (values.step or 0.0) / 2
    low, high = values.low - half, values.high + half
    return (math.log(low), math.log(high)) if values.log else (low, high)


def bell(values: IntRange | FloatRange, prior: Around) -> NormalDist:
    """The prior on the range's own scale, before it is cut off."""
    center, width = (
        (math.log(prior.center), math.log(prior.spread)) if values.log else (prior.center, prior.spread)
    )
    return NormalDist(center, max(width, NARROWEST))


def drawn(values: Distribution, prior: Prior, quantile: float) -> Scalar:
    """The value of a prior below which such a share of it lies, from 0 to 1."""
    if isinstance(values, Choice):
        assert isinstance(prior, Weights)
        left = quantile * sum(prior.weights)
        for choice, weight in zip(values.choices, prior.weights, strict=True):
            left -= weight
            if left < 0:
                return choice
        return values.choices[-1]
    assert isinstance(prior, Around)
    (low, high), normal = ends(values), bell(values, prior)
    below, above = normal.cdf(low), normal.cdf(high)
    share = min(max(below + quantile * (above - below), 1e-15), 1 - 1e-15)
    found = min(max(normal.inv_cdf(share), low), high)
    return _within(values, math.exp(found) if values.log else found)


def mode(values: Distribution, prior: Prior) -> Scalar:
    """The most probable value."""
    if isinstance(values, Choice):
        assert isinstance(prior, Weights)
        return values.choices[prior.weights.index(max(prior.weights))]
    assert isinstance(prior, Around)
    return _within(values, prior.center)


def as_written(values: Distribution, prior: Prior) -> dict[str, float]:
    """The prior as it can be written in a file."""
    if isinstance(values, Choice):
        assert isinstance(prior, Weights)
        return dict(zip(map(_word, values.choices), prior.weights, strict=True))
    assert isinstance(prior, Around)
    return {"center": prior.center, "spread": prior.spread}


def in_words(values: Distribution, prior: Prior) -> str:
    """Such as `0.001, within a factor of 3` or `adam 60 %, sgd 40 %`."""
    if isinstance(values, Choice):
        assert isinstance(prior, Weights)
        total = sum(prior.weights)
        shares = zip(prior.weights, values.choices, strict=True)
        ordered = sorted(shares, key=lambda one: -one[0])
        return ", ".join(f"{choice} {100 * weight / total:.0f} %" for weight, choice in ordered)
    assert isinstance(prior, Around)
    how = f"within a factor of {prior.spread:.3g}" if values.log else f"± {prior.spread:.3g}"
    return f"{prior.center:.4g} {how}" if not values.log else f"{prior.center:.4g}, {how}"


def _weights(values: Choice, written: Any) -> Weights:
    choices = values.choices
    if not isinstance(written, dict):
        found = [choice for choice in choices if choice == written and isinstance(choice, bool) == (
            isinstance(written, bool)
        )]  # fmt: skip
        if isinstance(written, list) or not found:
            raise PriorError(
                f"{shown(written)} is not allowed; it must be one of {', '.join(map(_word, choices))}, or "
                f"weights such as {{{_word(choices[0])}: 2}}{nearest(str(written), map(_word, choices))}"
            )
        # As probable as if half of all draws were this choice and the others any of them.
        return Weights(tuple(len(choices) + 1.0 if choice is found[0] else 1.0 for choice in choices))
    known = [_word(choice) for choice in choices]
    for word, weight in written.items():
        if word not in known:
            raise PriorError(f"{shown(word)} is not one of {', '.join(known)}{nearest(str(word), known)}")
        if not is_number(weight) or not 0 < weight <= LARGEST_WEIGHT:
            raise PriorError(
                f"the weight of {word} is {shown(weight)}; it must be a number above 0, beside the 1 "
                "of every choice that is not named"
            )
    if not written:
        raise PriorError("it is empty; name a choice, or leave it out")
    return Weights(tuple(float(written.get(word, 1.0)) for word in known))


LARGEST_WEIGHT = 1e6
"""A weight; more is as good as a constant."""


def _spread(values: IntRange | FloatRange, written: Any) -> float:
    least = 1.0 if values.log else 0.0
    if not is_number(written) or not written > least:
        what = "a factor above 1, because the range is logarithmic" if values.log else "a difference above 0"
        raise PriorError(f"spread is {shown(written)}; it must be {what}")
    return float(written)


def _within(values: IntRange | FloatRange, value: float) -> Scalar:
    """The nearest value of a range."""
    if isinstance(values, IntRange):
        step = values.step or 1
        found = values.low + round((value - values.low) / step) * step
        return min(max(found, values.low), values.high)
    value = min(max(value, values.low), values.high)
    return value if values.step is None else on_a_step(values, value)


def _range(values: IntRange | FloatRange) -> str:
    return f"from {values.low:g} to {values.high:g}"


def _word(choice: Scalar) -> str:
    """A choice as the key of weights: as it is written in a file, in quotes where it is no word."""
    return choice if isinstance(choice, str) else json.dumps(choice)


def fits(values: Distribution | Constant, written: Mapping[str, float]) -> bool:
    """Whether a prior as it is written can be one of these values."""
    try:
        read_prior(values, dict(written))
    except PriorError:
        return False
    return True
