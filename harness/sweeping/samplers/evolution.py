"""Samplers that evolve a population."""

from __future__ import annotations

from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler


def build_cmaes(call_seed: int, _study_seed: int) -> BaseSampler:
    """Covariance matrix adaptation."""
    return CmaEsSampler(seed=call_seed, warn_independent_sampling=False)


def build_nsga2(call_seed: int, _study_seed: int) -> BaseSampler:
    """NSGA-II."""
    return NSGAIISampler(seed=call_seed)
