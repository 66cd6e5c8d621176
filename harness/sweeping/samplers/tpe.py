"""The tree-structured Parzen estimator, which can prefer what costs less, and what is said to be good."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator

from harness.sweeping.samplers.comparable import tpe_gamma
from harness.sweeping.samplers.costs import EpochCosts, Floats
from harness.sweeping.samplers.priors import Priors, RandomWithPriors


class _SomeDrawnFromPriors(_ParzenEstimator):
    """A density, some of whose samples have values that are drawn from priors instead."""

    def __init__(self, priors: Priors, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._priors = priors

    def sample(self, rng: np.random.RandomState, size: int) -> dict[str, Floats]:
        """So many values of each parameter, as Optuna represents them inside."""
        found: dict[str, Floats] = super().sample(rng, size)
        count = round(self._priors.power * self._priors.share * size)
        for name, values in found.items():
            if name in self._priors:
                values[:count] = self._priors.draw_inside(name, rng, count)
        return found


class CostAwareTPE(TPESampler):
    """TPE that can prefer what costs less, and what is said to be good.

    Where time is limited, what counts is the expected improvement per second (Snoek et al. 2012,
    arXiv:1206.2944), or rather per second^a with `a` falling from 1 to 0 while the time runs out (Lee et al.
    2020, arXiv:2003.10870): cheap configurations teach much at first, and the best may be expensive.
    """

    _cost_weight = 0.0
    _costs: EpochCosts | None = None
    _priors: Priors | None = None

    def __init__(self, seed: int) -> None:
        # Conditional parameters make groups of trials that share a sub-space.
        super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._seed = seed

    def set_priors(self, priors: Priors) -> None:
        """Weigh improvements by what is said of parameters, which some values are drawn from, too."""
        self._priors = priors
        self._random_sampler = RandomWithPriors(priors, self._seed)
        self._parzen_estimator_cls = partial(_SomeDrawnFromPriors, priors)  # type: ignore[assignment]

    def set_costs(self, costs: EpochCosts | None, weight: float) -> None:
        """Weigh improvements by costs to the power of `weight`."""
        self._costs, self._cost_weight = costs, weight

    def set_infeasible(self, count: int) -> None:
        """So many of the trials are infeasible: of the others, as many as without them are good ones.

        As long as there are no others, the good ones are those that are least infeasible.
        """
        self._gamma = lambda trials: tpe_gamma(trials - count) or tpe_gamma(trials)

    def _compute_acquisition_func(self, samples: dict[str, Floats], mpe_below: Any, mpe_above: Any) -> Floats:
        gain: Floats = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        if self._priors:
            gain = gain + self._priors.log_weights(samples)
        return gain - self._cost_weight * self._costs.effect(samples) if self._costs else gain


def build(call_seed: int, _study_seed: int) -> CostAwareTPE:
    """TPE for one call."""
    return CostAwareTPE(call_seed)
