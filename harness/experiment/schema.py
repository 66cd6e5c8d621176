"""The schema of an experiment file."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from harness.experiment.confirmation import ConfirmationConfig
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.samplers import SAMPLERS
from harness.metrics import MEASURES, METRICS, VALIDATION, is_maximized
from harness.records import Precision, Scalar
from harness.schedulers import DEFAULT_SCHEDULER, SCHEDULERS
from harness.schedulers.kind import SchedulerSettings
from harness.settings import Strict

SCORES = tuple(f"{VALIDATION}{name}" for name in METRICS)
"""Metrics of the validation split, one of which ranks trials."""
OBJECTIVES = (*SCORES, *MEASURES)
if TYPE_CHECKING:
    Objectives = str
    Measures = str
    Sampler = str
else:  # the registries say what there is
    Objectives = Literal[OBJECTIVES]
    Measures = Literal[tuple(MEASURES)]
    Sampler = Literal[tuple(SAMPLERS)]


class TrainingConfig(Strict):
    """How long a full training is."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 15
    epoch_images: Annotated[int, Field(ge=1)] | None = None
    """Images that make an epoch, where all of the training images would take minutes. None: all of them."""
    unfreeze_at: Annotated[int, Field(ge=1)] | None = None
    """The last epoch before the backbone of a pretrained network is trained too, where `unfreeze` is above 0.
    None: the one at which trials are promoted to the last rung, or half of all epochs without rungs."""
    precision: Literal["auto"] | Precision = "auto"
    """What layers compute with in training. `auto`: bfloat16 where it is measured to be clearly faster, which
    takes some seconds once for a machine and kind of network, else float32."""

    @model_validator(mode="after")
    def _leave_epochs_unfrozen(self) -> Self:
        if self.unfreeze_at is not None and self.unfreeze_at >= self.epochs:
            raise ValueError(
                f"unfreeze_at is {self.unfreeze_at}, but {self.epochs} epochs leave none after it"
            )
        return self


class ObjectiveConfig(Strict):
    """Something that makes a trial better than another."""

    metric: Objectives = "val_accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    """By default what is usual for the metric."""

    @model_validator(mode="before")
    @classmethod
    def _fill_direction(cls, values: Any) -> Any:
        if isinstance(values, dict) and "direction" not in values and values.get("metric") in OBJECTIVES:
            usual = "maximize" if is_maximized(values["metric"]) else "minimize"
            return values | {"direction": usual}
        return values


class SearchConfig(Strict):
    """How many configurations are tried, and how they are chosen."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """The study's total."""
    timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which the sweep has ended, from the start of the command."""
    max_epochs_total: Annotated[int, Field(ge=1)] | None = None
    """Epochs of all trials together, never more."""
    target: float | None = None
    """End when a complete trial is this good."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """End when so many trials in a row brought no improvement."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """What counts as an improvement."""
    max_trial_seconds: Annotated[float, Field(gt=0)] | None = None
    """Training time after which a trial is ended, with its last whole epoch."""
    hang_seconds: Annotated[float, Field(gt=0)] | None = None
    """How long a worker may say nothing before it is replaced. None: by the longest epoch so far."""
    worker_memory: Annotated[float, Field(gt=0)] | None = None
    """GiB that a worker process may use; beyond it the trial counts as out of memory."""
    data_memory: Annotated[float, Field(gt=0)] | None = None
    """GiB of training images that a worker holds; a larger set is streamed from disk. None: a quarter of
    the worker's share of the machine."""
    ordered: bool = False
    """Decide by results in the order of their segments, so that the whole study can be repeated."""
    sampler: Sampler = "tpe"
    warm_start: list[str] | Literal["auto", "none"] = Field(default=[])
    """Studies whose trials the sampler learns from, as far as they fit the space; `auto`: what those in the
    workspace have found that were about the same kind of space and data. Nothing by default: a study is not
    to depend on what else there is."""
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] | None = None
    """None: one per GPU at first, else one per core; `auto`: measured, which takes some seconds once for a
    machine and kind of network. Never more than trials."""

    @field_validator("warm_start", mode="before")
    @classmethod
    def _name_studies(cls, value: Any) -> Any:
        if value not in ("auto", "none") and not (
            isinstance(value, list) and all(isinstance(name, str) for name in value)
        ):
            raise ValueError("it must be auto, none or a list of studies")
        return value


class ResourcesConfig(Strict):
    """What each worker asks a cluster for; on one machine, workers share its cores and GPUs."""

    cpus: Annotated[float, Field(ge=0.01)] = 1.0
    """Cores; a worker computes with as many threads, at least one."""
    gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs; with 0.5, two workers share one."""
    memory: Annotated[float, Field(gt=0)] | None = None
    """GiB that must be free on a node. None: that does not matter."""

    @model_validator(mode="after")
    def _take_whole_gpus(self) -> Self:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus is {self.gpus:g}, but a worker has a part of one GPU or whole ones")
        return self


def _scheduler_kind(values: Any) -> Any:
    """The kind that a `scheduler` section is of."""
    if isinstance(values, dict):
        return values.get("kind", DEFAULT_SCHEDULER)
    return getattr(values, "kind", None)


if TYPE_CHECKING:
    SchedulerConfig = SchedulerSettings
else:
    SchedulerConfig = Annotated[
        reduce(or_, (Annotated[kind.settings, Tag(name)] for name, kind in SCHEDULERS.items())),
        Discriminator(_scheduler_kind),
    ]


class ExperimentConfig(Strict):
    """One experiment file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
    """Lower-case letters, digits, `.`, `_`, `-`; also the MLflow experiment's name."""
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    dataset: DatasetConfig = DatasetConfig()
    training: TrainingConfig = TrainingConfig()
    objectives: Annotated[list[ObjectiveConfig], Field(min_length=1)] = Field(default=[ObjectiveConfig()])
    """What is searched for; the first one ranks trials, several give a Pareto front."""
    constraints: dict[Measures, Annotated[float, Field(gt=0)]] = Field(default={})
    """Upper limits, checked before a network is trained."""
    search: SearchConfig = SearchConfig()
    resources: ResourcesConfig = ResourcesConfig()
    scheduler: SchedulerConfig = SCHEDULERS[DEFAULT_SCHEDULER].settings()  # type: ignore[call-arg]
    model: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """A network of one's own, `package.module:function`, in place of the built-in families."""
    space: Annotated[dict[str, Any], Field(min_length=1)]
    """Values by parameter, written as `harness.experiment.space_file` says."""
    start_with: list[dict[str, Scalar]] = Field(default=[])
    """Configurations to try first; what they leave out is sampled. Without any, samplers that learn begin
    with the space's `defaults`."""
    confirmation: ConfirmationConfig | None = None
    """What is trained instead of a search."""

    @model_validator(mode="after")
    def _train_what_is_confirmed(self) -> Self:
        if self.confirmation is not None and self.search.trials != self.confirmation.trainings:
            raise ValueError(
                f"a confirmation of {len(self.confirmation.configurations)} configurations on "
                f"{len(self.confirmation.seeds)} seeds has {self.confirmation.trainings} trials, not "
                f"{self.search.trials}"
            )
        return self
