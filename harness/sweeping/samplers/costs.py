"""What an epoch of a configuration costs, learned from the configurations that were trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

Floats = NDArray[np.float64]

PENALTY = 0.1
"""The weight of squared effects against squared residuals of log seconds: few observations claim little."""


class EpochCosts:
    """Log seconds an epoch, as a sum of the parameters' effects (ridge regression).

    A number has one effect, on its own scale or a logarithmic one, and every choice has one. Because effects
    add up, those of a few parameters can be told without the others.
    """

    def __init__(self, trials: Sequence[FrozenTrial], seconds: Sequence[float]) -> None:
        """Learn from trials and the seconds that an epoch of each took, more than 0."""
        among: dict[str, BaseDistribution] = {}
        for trial in trials:
            among |= trial.distributions
        self._among = among
        columns = {}
        for name, distribution in among.items():
            own = [trial.params.get(name) for trial in trials]
            inside = [math.nan if one is None else distribution.to_internal_repr(one) for one in own]
            columns[name] = _features(distribution, np.asarray(inside))
        logs = np.log(np.asarray(seconds))
        every = np.hstack(list(columns.values()))
        centre = every.mean(axis=0)
        centred = every - centre
        weights = np.linalg.solve(
            centred.T @ centred + PENALTY * np.eye(every.shape[1]), centred.T @ (logs - logs.mean())
        )
        ends = np.cumsum([one.shape[1] for one in columns.values()])[:-1]
        self._weights = dict(zip(columns, np.split(weights, ends), strict=True))

    def effect(self, values: Mapping[str, Floats]) -> Floats:
        """How these parameters change log seconds.

        Args:
            values: by parameter, as Optuna represents them inside; shape (samples,) each.

        Returns:
            Shape (samples,).
        """
        effects = [
            _features(self._among[name], own) @ self._weights[name]
            for name, own in values.items()
            if name in self._among
        ]
        found: Floats = np.sum(effects, axis=0) if effects else np.zeros(len(next(iter(values.values()))))
        return found


def _features(among: BaseDistribution, values: Floats) -> Floats:
    """Shape (samples, features); zeros where a value is NaN."""
    if isinstance(among, CategoricalDistribution):
        chosen: Floats = (values[:, None] == np.arange(len(among.choices))).astype(np.float64)
        return chosen
    assert isinstance(among, IntDistribution | FloatDistribution)
    low, high = float(among.low), float(among.high)
    if among.log:
        low, high, values = math.log(low), math.log(high), np.log(values)
    # Around 0, so that a parameter that a trial lacks makes no difference.
    scaled = (values - low) / (high - low) - 0.5 if high > low else np.zeros(len(values))
    found: Floats = np.nan_to_num(scaled)[:, None]
    return found
