"""Samplers that do not go by results."""

from __future__ import annotations

from optuna.samplers import BaseSampler, QMCSampler

from harness.sweeping.samplers.priors import RandomWithPriors


def build_random(call_seed: int, _study_seed: int) -> BaseSampler:
    """Independent draws."""
    return RandomWithPriors(None, call_seed)


def build_qmc(_call_seed: int, study_seed: int) -> BaseSampler:
    """One quasi-random sequence for the whole study: it goes by the number of trials there are."""
    return QMCSampler(seed=study_seed, scramble=True, warn_independent_sampling=False)
