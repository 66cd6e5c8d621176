"""Which recorded configuration answers for one that a search suggests.

It is the nearest one that this search has not had yet: by the sum of the parameters' differences, each at
most 1 (Gower 1971). Numbers differ by their distance over their range, on a logarithmic scale where the space
has one, and a learning rate in the range of its optimizer; other values differ by 1 or not at all. To let
searches choose among the recorded ones by number instead would take from those that learn what they learn
from: that near configurations score alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set

import numpy as np

from harness.experiment.distributions import Choice, Constant, Distribution
from harness.experiment.space import Alternative, Space, holds
from harness.records import Params, Scalar

UNKNOWN = 0.5
"""Where a number lies that a configuration does not have."""


class Neighbours:
    """The recorded configurations as points."""

    def __init__(self, space: Space, configurations: Mapping[int, Params]) -> None:
        self._space = space
        self._configurations = list(configurations)
        self._points = np.array([self._point(params) for params in configurations.values()])

    def nearest(self, params: Params, among: Set[int]) -> int:
        """The nearest of some recorded configurations; of equally near ones, the first."""
        distances = np.abs(self._points - self._point(params)).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        return next(self._configurations[place] for place in order if self._configurations[place] in among)

    def _point(self, params: Params) -> list[float]:
        return [
            number
            for name, alternatives in self._space.parameters.items()
            for number in _coordinates(name, alternatives, params)
        ]


def _coordinates(name: str, alternatives: tuple[Alternative, ...], params: Params) -> Iterator[float]:
    words = {
        choice: None
        for one in alternatives
        if isinstance(one.values, Choice) and not _is_ordered(one.values)
        for choice in one.values.choices
    }
    if words:  # a half for the value it has, and a half for the one it has not
        yield from (0.5 * (params.get(name) == word) for word in words)
    elif not all(isinstance(one.values, Constant) for one in alternatives):
        own = next((one.values for one in alternatives if holds(one.when, params)), None)
        unknown = own is None or isinstance(own, Constant) or name not in params
        yield UNKNOWN if unknown else _place(own, params[name])


def _is_ordered(values: Choice) -> bool:
    return not any(isinstance(choice, bool | str) for choice in values.choices)


def _place(among: Distribution, value: Scalar) -> float:
    """Where a number lies in its range, from 0 to 1."""
    if isinstance(among, Choice):
        ordered = sorted(among.choices)
        return ordered.index(value) / max(1, len(ordered) - 1)
    low, high, number = float(among.low), float(among.high), float(value)
    if among.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low) if high > low else UNKNOWN
