"""What good configurations have in common, as priors of a space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.experiment.distributions import Choice, Constant, Distribution, FloatRange, IntRange, contains
from harness.experiment.priors import USUAL_SPREAD, Around, Prior, Weights, ends
from harness.experiment.space import Space, holds
from harness.records import Params, Scalar

LEAST = 3
"""Configurations that must have a parameter for anything to be said of it."""
Weighted = list[tuple[float, Scalar]]


@dataclass(frozen=True, slots=True)
class Good:
    """A configuration that did well in an earlier search."""

    params: Params
    searched: frozenset[str]
    """The parameters that were searched there: that the others had these values says nothing."""


def learned_priors(space: Space, best: Sequence[Good]) -> dict[str, Prior]:
    """What good configurations have in common, by the sampler's names.

    Args:
        space: that is to be searched.
        best: good configurations, the best first; earlier ones count more (by the weights of CMA-ES, Hansen
            2016, arXiv:1604.00772).
    """
    among: dict[str, Distribution] = {}
    found: dict[str, Weighted] = {}
    for rank, good in enumerate(best, 1):
        weight = math.log(len(best) + 0.5) - math.log(rank)
        for name, values, value in _placed(space, good):
            among[name] = values
            found.setdefault(name, []).append((weight, value))
    return {name: _prior(among[name], own) for name, own in found.items() if len(own) >= LEAST}


def _placed(space: Space, good: Good) -> Iterator[tuple[str, Distribution, Scalar]]:
    """The values of a configuration that lie in a space, with the sampler's names and what is searched."""
    params = good.params
    for name, alternatives in space.parameters.items():
        for one in alternatives if name in params and name in good.searched else ():
            values = one.values
            if (
                not isinstance(values, Constant)
                and holds(one.when, params)
                and contains(values, params[name])
            ):
                yield one.sampled_as, values, params[name]


def _prior(among: Distribution, own: Weighted) -> Prior:
    total = sum(weight for weight, _ in own)
    if isinstance(among, Choice):
        shares = [sum(weight for weight, value in own if value == choice) / total for choice in among.choices]
        # Where all have the same one, as if it were written; where they have any, nothing.
        return Weights(tuple(1.0 + len(among.choices) * share for share in shares))
    places = [(weight / total, _place(among, float(value))) for weight, value in own]
    center = sum(weight * place for weight, place in places)
    variance = sum(weight * (place - center) ** 2 for weight, place in places)
    low, high = ends(among)
    # Few values say little about how far good ones are apart.
    spread = math.sqrt(variance + (USUAL_SPREAD * (high - low)) ** 2 / 2)
    return Around(_value(among, center), math.exp(spread) if among.log else spread)


def _place(among: IntRange | FloatRange, value: float) -> float:
    return math.log(value) if among.log else value


def _value(among: IntRange | FloatRange, place: float) -> float:
    value = math.exp(place) if among.log else place
    return min(max(value, among.low), among.high)
