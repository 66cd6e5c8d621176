"""The schema of an experiment file."""

from __future__ import annotations

from math import inf, isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from harness.experiment.space import Space, parse_space
from harness.records import Precision, Scalar

ImageSide = Annotated[int, Field(ge=2, le=1024)]
Sampler = Literal["tpe", "random", "grid", "qmc", "cmaes", "nsga2", "gp"]
Measure = Literal["parameters", "latency_ms"]
"""Known of a network before training: the number of its weights; one image through the saved function."""
Metric = Literal[
    "val_accuracy",
    "val_loss",
    "val_precision_macro",
    "val_recall_macro",
    "val_f1_macro",
    "val_balanced_accuracy",
]


class Strict(BaseModel):
    """Unknown keys and wrong types are errors; instances do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Name = Annotated[str, Field(min_length=1)]


def _names(value: Any) -> Any:
    """One name is a list of one; numbers are names too, as they stand in columns of lists."""
    names = value if isinstance(value, list) else [value]
    if value is None or not all(isinstance(name, str | int) and str(name) for name in names):
        raise ValueError("it must be a list of names")
    return [str(name) for name in names]


def _range(value: Any) -> Any:
    numbers = value if isinstance(value, list) else []
    fine = len(numbers) == 2 and all(type(one) in (int, float) for one in numbers)
    if value != "auto" and not (fine and isfinite(numbers[0]) and numbers[0] < numbers[1] < inf):
        raise ValueError("it must be auto, or two numbers such as [0, 4095], the lower one first")
    return value


Names = Annotated[list[str], BeforeValidator(_names)]


class SplitNames(Strict):
    """What the user calls the splits: names of folders, or values of a list's column; none: no splits."""

    train: Names = []
    validation: Names = []
    test: Names = []


class ColumnNames(Strict):
    """What the user calls the columns of a list."""

    path: Name | None = None
    label: Name | None = None
    split: Name | None = None


class DatasetConfig(Strict):
    """What to train on, and how it is read and split."""

    source: Name = "digits"
    """A name from the catalog (`digits`, `cifar10`, …), a folder (or a `.zip` or `.tar` of one), a manifest
    `.csv` or an `.npz`."""
    layout: Literal["auto", "class_folders", "prefix"] = "auto"
    """`prefix`: a flat folder where the class is what stands before the last number of a name;
    `class_folders`:
    the folders say the classes, whatever a list among them says."""
    splits: SplitNames | None = None
    """Which folders, or values of a list's column, are which split. None: by their names."""
    columns: ColumnNames = ColumnNames()
    """Which columns of a list hold path, label and split, where their names do not say it."""
    ignore: Names | None = None
    """Patterns of files and folders that are passed over. None: masks and thumbnails beside pictures."""
    range: Annotated[Literal["auto"] | list[float], BeforeValidator(_range)] = "auto"
    """Values that become 0 and 255, for arrays and for images of more than 8 bits."""
    max_pixels: Annotated[int, Field(ge=1, le=4_000_000_000)] = 50_000_000
    """Of one image, from its header; a larger one is not read."""
    image_size: ImageSide | tuple[ImageSide, ImageSide] | None = None
    """Side, or height and width, in pixels. None: the commonest size, at most 96 on the longer side."""
    color: Literal["auto", "grey", "rgb"] = "auto"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Of the training images; unused when the source brings a validation split."""
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Held out and sealed when the source brings no test split."""
    limit_train: Annotated[int, Field(ge=2)] | None = None
    """Use only so many training images (stratified by class)."""
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The share of unreadable images above which preparing is an error."""

    def named_splits(self) -> dict[str, list[str]] | None:
        """Names by pool as text; {} if there are none by the user's word; None if they say nothing."""
        if self.splits is None:
            return None
        return {pool: names for pool, names in self.splits if names}

    def named_columns(self) -> dict[str, str]:
        """Names of columns by what they hold, where the user says it."""
        return {what: name for what, name in self.columns if name is not None}

    def known_range(self) -> tuple[float, float] | None:
        """The range that the user names; None if they say nothing."""
        return None if self.range == "auto" else (self.range[0], self.range[1])


class TrainingConfig(Strict):
    """How long a full training is."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 15
    precision: Precision = "float32"
    """What layers compute with in training; bfloat16 is faster on GPUs that have it (Ampere and later)."""


class ObjectiveConfig(Strict):
    """What makes a trial better than another."""

    metric: Metric = "val_accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    """By default `minimize` for a loss, `maximize` for everything else."""

    @model_validator(mode="before")
    @classmethod
    def _fill_direction(cls, values: Any) -> Any:
        if isinstance(values, dict) and "direction" not in values:
            lower = str(values.get("metric", "")).endswith("loss")
            return values | {"direction": "minimize" if lower else "maximize"}
        return values


class FurtherObjective(Strict):
    """One more objective beside the first."""

    metric: Literal[Metric, Measure]
    direction: Literal["maximize", "minimize"] = "minimize"
    """By default `maximize` for a validation score, `minimize` for a loss and for what is measured."""

    @model_validator(mode="before")
    @classmethod
    def _fill_direction(cls, values: Any) -> Any:
        if isinstance(values, dict) and "direction" not in values:
            metric = str(values.get("metric", ""))
            higher = metric.startswith("val_") and not metric.endswith("loss")
            return values | {"direction": "maximize" if higher else "minimize"}
        return values


class SearchConfig(Strict):
    """How many configurations are tried, and how they are chosen."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """The study's total."""
    timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which no further epoch starts."""
    max_epochs_total: Annotated[int, Field(ge=1)] | None = None
    """Epochs of all trials together after which no further one starts."""
    target: float | None = None
    """End when a complete trial is this good."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """End when so many trials in a row brought no improvement."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """What counts as an improvement."""
    max_trial_seconds: Annotated[float, Field(gt=0)] | None = None
    """Training time after which a trial is ended at its next epoch."""
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
    warm_start: list[str] = []
    """Studies whose trials the sampler learns from, as far as they fit the space."""
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] | None = None
    """None: one per GPU, else one per core; `auto`: measured, which takes some seconds once for a machine and
    kind of network. Never more than trials."""


class SchedulerConfig(Strict):
    """Which trials train how far."""

    kind: Literal["asha", "hyperband", "screen", "median", "percentile", "patient", "threshold", "none"] = (
        "asha"
    )
    """`median`, `percentile`, `patient` and `threshold` are Optuna's pruners: they stop trials for good."""
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """The first rung; with a pruner, the first epoch after which a trial may be stopped."""
    reduction: Annotated[int, Field(ge=2, le=100)] = 3
    """One in so many goes on from each rung."""
    keep: Annotated[int, Field(ge=1)] = 5
    """How many go on after the screening."""
    startup_trials: Annotated[int, Field(ge=0)] = 5
    """`median`, `percentile`: complete trials before any is stopped."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 25.0
    """`percentile`: trials below this share of the best at the same epoch are stopped."""
    patience: Annotated[int, Field(ge=0)] = 3
    """`patient`: epochs without improvement before a trial is stopped."""
    lower: float | None = None
    """`threshold`: trials whose objective is below are stopped."""
    upper: float | None = None
    """`threshold`: trials whose objective is above are stopped."""

    @model_validator(mode="after")
    def _has_threshold(self) -> Self:
        if self.kind == "threshold" and self.lower is None and self.upper is None:
            raise ValueError("the scheduler threshold needs lower or upper (or both)")
        return self


class Experiment(Strict):
    """One experiment file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
    """Lower-case letters, digits, `.`, `_`, `-`; also the MLflow experiment's name."""
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    dataset: DatasetConfig = DatasetConfig()
    training: TrainingConfig = TrainingConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    also: list[FurtherObjective] = []
    """Further objectives: the result is a Pareto front."""
    limits: dict[Measure, Annotated[float, Field(gt=0)]] = {}
    """Upper limits, checked before a network is trained."""
    search: SearchConfig = SearchConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    model: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """A network of one's own, `package.module:function`, in place of the built-in families."""
    space: Annotated[dict[str, Any], Field(min_length=1)]
    """See `harness.experiment.space`."""
    start_with: list[dict[str, Scalar]] = []
    """Configurations to try first; what they leave out is sampled. Without any, samplers that learn begin
    with the space's `defaults`."""

    @model_validator(mode="after")
    def _pruners_know_one_objective(self) -> Self:
        if self.also and self.scheduler.kind in ("median", "percentile", "patient", "threshold"):
            raise ValueError(
                f"the scheduler {self.scheduler.kind} knows one objective only; use asha, hyperband, screen "
                "or none"
            )
        return self

    def objectives(self) -> list[tuple[str, bool]]:
        """Metric and whether larger is better, the first objective first."""
        first = (self.objective.metric, self.objective.direction == "maximize")
        return [first, *((one.metric, one.direction == "maximize") for one in self.also)]

    def compiled_space(self) -> Space:
        """The space as data; raises ExperimentError with all its problems."""
        return parse_space(self.space, self.model)
