"""Priors of parameters as samplers use them: draws and weights that fade while results come in.

As in πBO (Hvarfner et al. 2022, arXiv:2204.11051), what is said of a parameter multiplies what the sampler
expects to gain, to a power that falls as 1/n with the trials that have a result. Beside that, results are
asked whether it is right. Where trials are the better the more probable it calls them, random draws are from
it, too, and TPE begins with fewer of them; where they are the worse, it counts for nothing. Until results
have answered, little is risked beside the one trial of the most probable configuration: in simulations, to
draw every fourth of the first trials from a wrong prior cost a fifth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from harness.experiment.distributions import Choice, Distribution
from harness.experiment.priors import Around, Prior, Weights, bell, drawn, ends
from harness.records import Params
from harness.tracking.optuna_space import as_optuna

Floats = NDArray[np.float64]

STRENGTH = 10.0
"""β of πBO: as many results as weaken a prior. Until then it has its full weight."""
MOST_RESULTS = 200
"""After so many a prior counts for nothing."""
SHARE = 0.8
"""Of random draws those from priors that are certainly right, and the part of them that TPE then goes
without: who knows what is good need not look around for as long."""
FLOOR = 0.1
"""How probable any value is at least, beside uniform draws: how much of a prior is uniform."""
FEWEST, TINY = 3, 1e-9
"""Trials that evidence takes, and a spread that is none."""
CREDIT, RANDOM_CREDIT = -2.0, -1.0
"""The log odds that a prior is right before there are results: to TPE, so that less than a tenth of its first
draws are from it, and to a random search, which has no other use for it."""
EVIDENCE = 2.0
"""How much log odds change with the evidence: by 2r / (1 - r²), of normal distributions, if the correlation
with how good trials are is r for a right prior and -r for a wrong one; here, r = 0.6."""


class Priors:
    """What is said of parameters, and how much it still counts."""

    def __init__(
        self,
        of: Mapping[str, tuple[Distribution, Prior]],
        ranked: Sequence[Params] = (),
        credit: float = CREDIT,
    ) -> None:
        """Priors by the sampler's names.

        Args:
            of: the values of each, and what is said of them.
            ranked: what was sampled for the trials with a result, the best first.
            credit: the log odds that a prior is right, before these are looked at.
        """
        self._of = of
        self._inside = {name: as_optuna(among) for name, (among, _) in of.items()}
        self.power = min(1.0, STRENGTH / max(1, len(ranked)))
        """From 1, at first, to 0."""
        self._trust = self._trusted(ranked, credit)
        """How probably each is right."""
        self.share = SHARE * fmean(self._trust.values()) if of else 0.0
        """Of random draws that are from the priors."""

    def _trusted(self, ranked: Sequence[Params], credit: float) -> dict[str, float]:
        """How probably each prior is right, by its own evidence and by that of all together.

        Of many parameters that each matter a little, none alone says much.
        """
        goodness = -np.arange(len(ranked), dtype=np.float64)
        told = {name: self._log_probabilities(name, ranked) for name in self._of}
        together = _evidence(goodness, np.nansum(list(told.values()), axis=0)) if told else 0.0
        return {
            name: 1 / (1 + math.exp(-credit - EVIDENCE * (_evidence(goodness, own) + together) / 2))
            for name, own in told.items()
        }

    def _log_probabilities(self, name: str, ranked: Sequence[Params]) -> Floats:
        """How probable trials were by the prior of a parameter, beside uniform draws; NaN: they lack it."""
        inside, found = self._inside[name], np.full(len(ranked), np.nan)
        own = [index for index, params in enumerate(ranked) if name in params]
        if own:
            values = np.array([inside.to_internal_repr(ranked[index][name]) for index in own])
            found[own] = self._log_density(name, values)
        return found

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def draw(self, name: str, rng: np.random.RandomState) -> Any:
        """A value of a parameter, drawn from its prior."""
        among, prior = self._of[name]
        return drawn(among, prior, rng.random_sample())

    def log_weights(self, samples: Mapping[str, Floats]) -> Floats:
        """The logarithm of what multiplies the expected gain.

        Args:
            samples: values by parameter, as Optuna represents them inside; shape (samples,) each.

        Returns:
            Shape (samples,).
        """
        found = np.zeros(len(next(iter(samples.values()))))
        for name, values in samples.items():
            if name in self._of:
                found += self._trust[name] * self._log_density(name, values)
        return self.power * found

    def _log_density(self, name: str, values: Floats) -> Floats:
        """How probable values are, beside uniform draws; shape (values,)."""
        found: Floats = np.log(FLOOR + (1 - FLOOR) * _density(*self._of[name], values))
        return found


def _evidence(goodness: Floats, probable: Floats) -> float:
    """How much good trials were the more probable: the correlation, times the trials less one; no NaN."""
    known = np.isfinite(probable)
    goodness, probable = goodness[known], probable[known]
    if len(goodness) < FEWEST:
        return 0.0
    spread = float(goodness.std() * probable.std())
    if spread < TINY:
        return 0.0
    correlation = float(np.mean((goodness - goodness.mean()) * probable)) / spread
    return correlation * (len(goodness) - 1)


def _density(among: Distribution, prior: Prior, values: Floats) -> Floats:
    """How probable values are, beside uniform draws; shape (values,)."""
    if isinstance(among, Choice):
        assert isinstance(prior, Weights)
        weights = np.asarray(prior.weights)
        chosen: Floats = (len(weights) * weights / weights.sum())[values.astype(int)]
        return chosen
    assert isinstance(prior, Around)
    (low, high), normal = ends(among), bell(among, prior)
    places = (np.log(values) if among.log else values) - normal.mean
    inside = normal.cdf(high) - normal.cdf(low)
    if high == low or inside <= 0:
        return np.ones(len(values))
    heights = np.exp(-0.5 * (places / normal.stdev) ** 2) / (normal.stdev * math.sqrt(2 * math.pi))
    found: Floats = heights * (high - low) / inside
    return found


class RandomWithPriors(RandomSampler):
    """Independent draws, a share of the trials from priors, where there are any."""

    def __init__(self, priors: Priors | None, seed: int) -> None:
        super().__init__(seed)
        self.priors = priors
        self._from_prior: bool | None = None
        """Whether the trial that is asked for is drawn from the priors; None before that is known."""

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter."""
        if self.priors is not None and param_name in self.priors:
            rng: np.random.RandomState = self._rng.rng
            if self._from_prior is None:
                self._from_prior = rng.random_sample() < self.priors.share
            if self._from_prior:
                return self.priors.draw(param_name, rng)
        return super().sample_independent(study, trial, param_name, param_distribution)
