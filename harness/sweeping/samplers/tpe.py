"""The tree-structured Parzen estimator, which can prefer what costs less, and what is said to be good."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from harness.sweeping.samplers.comparable import tpe_gamma
from harness.sweeping.samplers.costs import EpochCosts, Floats
from harness.sweeping.samplers.priors import Priors, RandomWithPriors
from harness.sweeping.samplers.reused import CANDIDATES, Fit


class CostAwareTPE(TPESampler):
    """TPE that can prefer what costs less, and what is said to be good.

    Where time is limited, what counts is the expected improvement per second (Snoek et al. 2012,
    arXiv:1206.2944), or rather per second^a with `a` falling from 1 to 0 while the time runs out (Lee et al.
    2020, arXiv:2003.10870): cheap configurations teach much at first, and the best may be expensive.
    """

    _cost_weight = 0.0
    _costs: EpochCosts | None = None
    _fit: Fit | None = None
    _priors: Priors | None = None

    def __init__(self, seed: int) -> None:
        # Conditional parameters make groups of trials that share a sub-space.
        super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._seed = seed

    def set_priors(self, priors: Priors) -> None:
        """Weigh improvements by what is said of parameters, which some draws are from; call it once."""
        self._priors = priors
        self._random_sampler = RandomWithPriors(priors, self._seed)
        self._n_startup_trials = round((1 - priors.share) * self._n_startup_trials)

    def set_fit(self, fit: Fit) -> None:
        """Draw from this fit; what it lacks is fitted and kept in it."""
        self._fit = fit

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

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are sampled together."""
        if self._fit is None:
            return super().infer_relative_search_space(study, trial)
        if self._fit.space is None:
            self._fit.space = super().infer_relative_search_space(study, trial)
            self._fit.groups = self._search_space_group
        self._search_space_group = self._fit.groups
        return self._fit.space

    def _sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._fit is not None and self._fit.of(search_space) is not None:
            return self._sample(study, trial, search_space)
        return super()._sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter."""
        alone = {param_name: param_distribution}
        if self._fit is not None and self._fit.of(alone) is not None:
            return self._sample(study, trial, alone)[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        fit = self._fit
        densities = fit.of(search_space) if fit is not None else None
        if fit is None or densities is None:
            return super()._sample(study, trial, search_space)
        chosen = fit.chosen(search_space)
        if not chosen:
            # One trial's candidates do not lie side by side: the first of all may be drawn in another way.
            samples = densities[0].sample(self._rng.rng, fit.trials * CANDIDATES)
            gains = self._compute_acquisition_func(samples, *densities)
            chosen += [
                self._compare(
                    {name: own[one :: fit.trials] for name, own in samples.items()}, gains[one :: fit.trials]
                )
                for one in range(fit.trials)
            ]
        best = chosen.pop()
        return {name: among.to_external_repr(best[name]) for name, among in search_space.items()}

    def _build_parzen_estimator(
        self,
        study: Study,
        search_space: dict[str, BaseDistribution],
        trials: list[FrozenTrial],
        handle_below: bool,
    ) -> Any:
        density = super()._build_parzen_estimator(study, search_space, trials, handle_below)
        if self._fit is not None:
            self._fit.add(search_space, density, good=handle_below)
        return density


def build(call_seed: int, _study_seed: int) -> CostAwareTPE:
    """TPE for one call."""
    return CostAwareTPE(call_seed)
