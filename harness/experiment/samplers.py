"""Samplers choose configurations: a file in `harness/sweeping/samplers/` and a line here for each.

Experiment files name them, so what is known of them without importing Optuna stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class SamplerKind:
    """One kind of sampler."""

    about: str
    """A sentence for people."""
    builder: str
    """Its builder as `package.module:function`, which is imported when a sweep begins."""
    learns: bool = False
    """Whether it goes by results. If so, and unless told what to start with, it begins with the space's
    defaults: they are what the search has to beat, and a first result that is worth learning from."""
    by_epoch: bool = False
    """Whether, with one objective, it sees every trial by its score after equally many epochs."""
    bounded: bool = False
    """Whether it sees only the best and the newest trials of a large study, and is as good for it."""
    package: str = ""
    """The package that it needs beside Optuna; empty for none."""
    takes_priors: bool = False
    """Whether it goes by what a space says is probably good."""
    needs_list: bool = False
    """Whether it goes through a list of all configurations, so that the space must be finite."""

    def load(self) -> Any:
        """The builder."""
        module, _, name = self.builder.partition(":")
        return getattr(import_module(module), name)


_ROOM = "harness.sweeping.samplers"
SAMPLERS: dict[str, SamplerKind] = {
    "tpe": SamplerKind(
        "Tree-structured Parzen estimator: good and other trials are told apart by density.",
        f"{_ROOM}.tpe:build",
        learns=True,
        by_epoch=True,
        bounded=True,
        takes_priors=True,
    ),
    "random": SamplerKind(
        "Independent draws.", f"{_ROOM}.simple:build_random", bounded=True, takes_priors=True
    ),
    "grid": SamplerKind(
        "Every configuration once, in a random order.", f"{_ROOM}.simple:build_random", needs_list=True
    ),
    "qmc": SamplerKind("A quasi-random sequence that fills the space evenly.", f"{_ROOM}.simple:build_qmc"),
    "cmaes": SamplerKind(
        "Covariance matrix adaptation, for continuous spaces.",
        f"{_ROOM}.evolution:build_cmaes",
        learns=True,
        package="cmaes",
    ),
    "nsga2": SamplerKind(
        "A genetic algorithm, for several objectives.", f"{_ROOM}.evolution:build_nsga2", learns=True
    ),
    "gp": SamplerKind(
        "A Gaussian process, for few expensive trials.", f"{_ROOM}.gp:build", learns=True, package="torch"
    ),
}
"""By the value of `search.sampler` in an experiment file."""
