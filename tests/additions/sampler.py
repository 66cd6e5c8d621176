"""A sampler that draws at random, with a seed of its own."""

from __future__ import annotations

from optuna.samplers import BaseSampler, RandomSampler


def build(call_seed: int, _study_seed: int) -> BaseSampler:
    """Independent draws."""
    return RandomSampler(seed=call_seed + 1)
