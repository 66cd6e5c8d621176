"""An experiment as the rest of the program sees it: compiled once from its file, nothing left to parse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from harness.experiment.confirmation import ConfirmationConfig
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.folds import Folds
from harness.experiment.schema import ExperimentConfig, ResourcesConfig, SearchConfig, TrainingConfig
from harness.experiment.space import Space
from harness.metrics import MEASURES
from harness.records import Params
from harness.schedulers.kind import SchedulerSettings


@dataclass(frozen=True, slots=True)
class Objective:
    """What makes a trial better than another, and in which direction."""

    name: str
    """A metric such as `val_accuracy`, or a measure such as `parameters`."""
    maximize: bool

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """The direction as Optuna calls it."""
        return "maximize" if self.maximize else "minimize"

    def larger_is_better(self, value: float) -> float:
        """The value, or its negative where small values are better; NaN stays NaN."""
        return value if self.maximize else -value

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is strictly better."""
        return one > other if self.maximize else one < other

    def best(self, values: Iterable[float]) -> float | None:
        """The best of these values; None if there are none."""
        return max(values, key=self.larger_is_better, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Reasons to end a sweep before its last trial; None: never for this reason."""

    timeout: float | None = None
    """Seconds of wall time of the study, all its sessions together."""
    max_epochs_total: int | None = None
    """Epochs trained in all trials together."""
    target: float | None = None
    """A value of the first objective at which the sweep ends."""
    patience: int | None = None
    """Trials in a row that do not improve on the best before them."""
    min_gain: float = 0.0
    """An improvement by less than this does not count for `patience`."""


LIMITS = ("timeout", "max_epochs_total", "target", "patience", "min_gain")
"""The keys of a `search` section that make up its budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What to search, on what, for what, and for how long."""

    config: ExperimentConfig
    """The file as it was checked, with overrides: what is recorded."""
    space: Space
    objectives: tuple[Objective, ...]
    """What is searched for; the first objective ranks trials."""
    budget: Budget
    for_small_pictures: bool = field(default=False, compare=False)
    """Whether it is a built-in one that was made for small pictures."""
    advice: tuple[str, ...] = field(default=(), compare=False)
    """Sentences about the file that the user should read."""
    search_advice: tuple[str, ...] = field(default=(), compare=False)
    """Sentences that whoever searches should read; one training of the experiment has none of them."""
    proposed: str = field(default="", compare=False)
    """The text of an experiment file that was written for the data and stands nowhere yet: a study keeps it.
    Empty: there is a file, or it is built in."""
    overrides: tuple[str, ...] = field(default=(), compare=False)
    """What was given beside such a text, as `key.path=value`."""

    @property
    def name(self) -> str:
        """The name that the file gives it; the MLflow experiment has the same one."""
        return self.config.name

    @property
    def seed(self) -> int:
        """The seed that every random choice is made from."""
        return self.config.seed

    @property
    def dataset(self) -> DatasetConfig:
        """What to train on."""
        return self.config.dataset

    @property
    def training(self) -> TrainingConfig:
        """How long a full training is, and how precisely it computes."""
        return self.config.training

    @property
    def folds(self) -> Folds:
        """How a trial's epochs are divided among its trainings; without folds there is one."""
        return Folds(self.dataset.folds or 0, self.dataset.repeats, self.training.epochs)

    @property
    def search(self) -> SearchConfig:
        """How many configurations, and how they are chosen."""
        return self.config.search

    @property
    def resources(self) -> ResourcesConfig:
        """What each worker asks a cluster for."""
        return self.config.resources

    @property
    def scheduler(self) -> SchedulerSettings:
        """Which trials train how far."""
        return self.config.scheduler

    @property
    def model(self) -> str | None:
        """The user's own network, `package.module:function`."""
        return self.config.model

    @property
    def start_with(self) -> list[Params]:
        """Configurations to try first."""
        return self.config.start_with

    @property
    def confirmation(self) -> ConfirmationConfig | None:
        """What is trained instead of a search; None: it is a search."""
        return self.config.confirmation

    @property
    def objective(self) -> Objective:
        """The first objective, which ranks trials."""
        return self.objectives[0]

    @property
    def constraints(self) -> dict[str, float]:
        """Upper limits of what is measured of a network."""
        return self.config.constraints

    @property
    def measured(self) -> tuple[str, ...]:
        """What must be known of a network before it is trained."""
        wanted = {one.name for one in self.objectives} | self.constraints.keys()
        return tuple(name for name in MEASURES if name in wanted)


def compile_experiment(config: ExperimentConfig, space: Space, advice: Iterable[str] = ()) -> Experiment:
    """The experiment of a file that was checked.

    Args:
        config: the file.
        space: what its `space` section means.
        advice: sentences about the file that the user should read.
    """
    search = config.search
    return Experiment(
        config=config,
        space=space,
        objectives=tuple(Objective(one.metric, one.direction == "maximize") for one in config.objectives),
        budget=Budget(**{name: getattr(search, name) for name in LIMITS}),
        advice=tuple(advice),
    )
