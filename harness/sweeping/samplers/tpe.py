"""The tree-structured Parzen estimator, which can prefer what costs less."""

from __future__ import annotations

from typing import Any

from optuna.samplers import TPESampler

from harness.sweeping.samplers.comparable import tpe_gamma
from harness.sweeping.samplers.costs import EpochCosts, Floats


class CostAwareTPE(TPESampler):
    """TPE that can prefer what costs less.

    Where time is limited, what counts is the expected improvement per second (Snoek et al. 2012,
    arXiv:1206.2944), or rather per second^a with `a` falling from 1 to 0 while the time runs out (Lee et al.
    2020, arXiv:2003.10870): cheap configurations teach much at first, and the best may be expensive.
    """

    _cost_weight = 0.0
    _costs: EpochCosts | None = None

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
        return gain - self._cost_weight * self._costs.effect(samples) if self._costs else gain


def build(call_seed: int, _study_seed: int) -> CostAwareTPE:
    """TPE for one call. Conditional parameters make groups of trials that share a sub-space."""
    return CostAwareTPE(seed=call_seed, multivariate=True, group=True, constant_liar=True)
