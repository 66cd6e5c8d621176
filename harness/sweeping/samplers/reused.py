"""One fit of TPE for several trials, where so many workers train that a fit for each would be too much.

With W workers a new configuration is chosen without the results of the W that are in training, so it matters
little whether it also lacks the few that have come since the last fit: one serves a trial for every
`WORKERS_PER_TRIAL` workers, which is 4 % of what it lacks anyway. What follows is drawn from the same
densities, each the best of `CANDIDATES` draws, with fewer of them than the first: together they are many, and
nothing in between tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator

    from harness.sweeping.samplers.tpe import CostAwareTPE

WORKERS_PER_TRIAL = 25
CANDIDATES = 8


def trials_per_fit(workers: int) -> int:
    """How many trials one fit serves with so many workers."""
    return max(1, workers // WORKERS_PER_TRIAL)


class Fit:
    """What TPE has fitted: densities of good and other trials, by the parameters that they are over."""

    def __init__(self, trials: int) -> None:
        self.trials = self.left = trials
        """How many trials it is still to serve."""
        self.space: dict[str, BaseDistribution] | None = None
        """The parameters that are not sampled one by one."""
        self.groups: Any = None
        """Which of these are sampled together."""
        self._good: dict[tuple[str, ...], _ParzenEstimator] = {}
        self._others: dict[tuple[str, ...], _ParzenEstimator] = {}
        self._chosen: dict[tuple[str, ...], list[dict[str, float]]] = {}

    @property
    def is_fitted(self) -> bool:
        """Whether there is anything to draw from; before there are results, there is not."""
        return bool(self._others)

    def add(self, space: dict[str, BaseDistribution], density: Any, *, good: bool) -> None:
        """Keep the density of the good trials, or of the others, over some parameters."""
        (self._good if good else self._others)[tuple(space)] = density

    def chosen(self, space: dict[str, BaseDistribution]) -> list[dict[str, float]]:
        """What has been drawn over these parameters and not been used, as Optuna has values inside."""
        return self._chosen.setdefault(tuple(space), [])

    def of(self, space: dict[str, BaseDistribution]) -> tuple[Any, Any] | None:
        """The densities of good and of other trials over these parameters; None before they are fitted."""
        key = tuple(space)
        return (self._good[key], self._others[key]) if key in self._others else None


class Fits:
    """The last fit, as long as it serves further trials."""

    def __init__(self) -> None:
        self.workers: Callable[[], int] = lambda: 1
        """How many train."""
        self._last: tuple[CostAwareTPE, Fit] | None = None

    def keep(self, sampler: CostAwareTPE) -> None:
        """The sampler is about to fit; what it fits is kept, if it is to serve further trials."""
        if further := trials_per_fit(self.workers()) - 1:
            fit = Fit(further)
            sampler.set_fit(fit)
            self._last = sampler, fit

    def last(self) -> BaseSampler | None:
        """The sampler that draws from the last fit, which then serves one trial less; None: fit anew."""
        if self._last is None:
            return None
        sampler, fit = self._last
        if not fit.left or not fit.is_fitted:
            return None
        fit.left -= 1
        return sampler
