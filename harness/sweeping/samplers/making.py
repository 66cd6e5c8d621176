"""Optuna's samplers, each by its name in experiment files and made anew for every call."""

from __future__ import annotations

import importlib.util
import warnings

import optuna
from optuna.samplers import BaseSampler

from harness.errors import ExperimentError
from harness.experiment.samplers import SAMPLERS
from harness.experiment.space import Space
from harness.seeds import seed_from
from harness.sweeping.samplers.untried import LARGEST_LIST


def check_sampler(kind: str, space: Space) -> None:
    """Raises ExperimentError if the sampler lacks a package, or cannot list the space."""
    known = SAMPLERS[kind]
    size = space.size() if known.needs_list else 0
    if size is None:
        raise ExperimentError(
            f"search.sampler: {kind} needs a space of lists and steps, but this one has continuous ranges. "
            "Add a step to each, or choose another sampler."
        )
    if size > LARGEST_LIST:
        raise ExperimentError(
            f"search.sampler: {kind} would list {size:,} configurations, more than {LARGEST_LIST:,}. "
            "Make the space smaller, or choose random."
        )
    if known.package and importlib.util.find_spec(known.package) is None:
        raise ExperimentError(
            f"search.sampler: {kind} needs the package {known.package}, which is not installed. Type "
            f"`pip install {known.package}`, or choose tpe."
        )


def make_sampler(kind: str, seed: int, call: str) -> BaseSampler:
    """An Optuna sampler by its name in experiment files, for one call of a study's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made: BaseSampler = SAMPLERS[kind].load()(seed_from(seed, "ask", call), seed)
        return made
