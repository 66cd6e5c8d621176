"""The records that pass between layers: plain, frozen, JSON-serialisable.

Workers and the coordinator exchange them as JSON lines, and the event log stores the same ones, so
every field is a number, a string, a bool, None, or a list, dict or record of those.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal, Protocol, TypeAlias

Scalar: TypeAlias = bool | int | float | str
Params: TypeAlias = dict[str, Scalar]
TrialState: TypeAlias = Literal["complete", "pruned", "failed"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
FailureKind: TypeAlias = Literal["out_of_memory", "diverged", "crash", "hang", "user_code", "infeasible"]


class Progress(Protocol):
    """Told how far a long step is; the command line draws it, tests ignore it."""

    def __call__(self, label: str, done: int, total: int) -> None:
        """`done` of `total` units of the step `label` are finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A prepared data set: memory-mapped uint8 arrays in a folder, and one split of them.

    `folder` holds `train_images.npy` (uint8, N×H×W×C), `train_labels.npy` (int32, N) and, where the
    set has them, `validation_*.npy` and `test_*.npy`. `split` names an `.npz` file in it with the
    int64 index arrays `train`, `validation` and `test` (see `harness.data.arrays.load`).
    """

    name: str
    folder: str
    split: str
    digest: str
    """SHA-256 (hex) of the source's content and of how it was decoded."""
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    """Height, width, channels (1 or 3)."""
    counts: dict[str, int]
    """Images after splitting and limits, by `train`, `validation`, `test`."""
    class_counts: dict[str, int]
    """Training images by class name."""
    pixel_range: tuple[float, float] | None = None
    """Values of the source that became 0 and 255; None: 8-bit pixels as they are."""
    warnings: tuple[str, ...] = ()
    """Sentences worth telling the user: skipped images, duplicates, conversions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file from which a trial can go on: weights, optimizer state, epoch."""

    file: str
    """Path relative to the study's folder."""
    sha256: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The unit of work: one trial from epoch `start` (exclusive) to epoch `stop` (inclusive)."""

    study_folder: str
    trial: int
    attempt: int
    params: Params
    seed: int
    start: int
    stop: int
    max_epochs: int
    """The epoch the learning-rate schedule is laid out for."""
    dataset: Dataset
    checkpoint: Checkpoint | None = None
    earlier_checkpoint: Checkpoint | None = None
    """To go on from if the other one turns out to be damaged."""
    microbatches: int = 1
    """Parts that a batch is cut into, their gradients being added up: 2 after memory ran out."""
    precision: Precision = "float32"
    past_losses: tuple[float, ...] = ()
    """Validation loss of epochs 1 to `start`, for early stopping."""
    measure: tuple[str, ...] = ()
    """What to find out about the network before it is trained: `parameters`, `latency_ms`."""
    limits: dict[str, float] = field(default_factory=dict)
    """Upper limits of what is measured; beyond them the network is not trained."""
    evaluate_test: bool = False
    """Also report on the sealed test split when training is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """One epoch of a trial: 1-based number, metrics by MLflow name, wall-clock time in ms."""

    trial: int
    attempt: int
    epoch: int
    metrics: dict[str, float]
    time: int
    kind: Literal["epoch_ended"] = "epoch_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMeasured:
    """What is known of a network before it is trained: `parameters`, `latency_ms` (one image, CPU)."""

    trial: int
    attempt: int
    measured: dict[str, float]
    time: int
    kind: Literal["model_measured"] = "model_measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is durable on disk."""

    trial: int
    attempt: int
    checkpoint: Checkpoint
    time: int
    kind: Literal["checkpoint_saved"] = "checkpoint_saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDamaged:
    """A checkpoint could not be used; the trial goes on from an earlier one, or from its beginning."""

    trial: int
    attempt: int
    checkpoint: Checkpoint
    message: str
    """A sentence: what is wrong with it."""
    time: int
    kind: Literal["checkpoint_damaged"] = "checkpoint_damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFull:
    """A worker waits for room on its disk; told to the coordinator, not written to the log."""

    trial: int
    attempt: int
    message: str
    time: int
    kind: Literal["disk_full"] = "disk_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSaved:
    """A trial's model is durable on disk: `<file>` is a plain `.keras` file with softmax output.

    Beside it stands `reference.npz`: `indices` into the validation split and the trained model's
    `probabilities` (float32) for them, the yardstick for every later copy of the model.
    """

    trial: int
    attempt: int
    epoch: int
    file: str
    """Path of the `.keras` file relative to the study's folder."""
    sha256: str
    size: int
    """Bytes."""
    parameters: int
    """Number of trainable and other weights."""
    time: int
    kind: Literal["model_saved"] = "model_saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How one split was classified: rows of the confusion matrix are true classes."""

    split: Literal["validation", "test"]
    metrics: dict[str, float]
    """`loss`, `accuracy`, `precision_macro`, `recall_macro`, `f1_macro`."""
    per_class: list[dict[str, Any]]
    """`class`, `precision`, `recall`, `f1`, `support` for each class, in class order."""
    confusion: list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEnded:
    """The worker is free for another segment, but still writes this one's last file.

    Told to the coordinator, not written to the log: there, a segment ends when its files are durable.
    """

    trial: int
    attempt: int
    epoch: int
    over: bool
    """As in `SegmentEnded`."""
    time: int
    kind: Literal["training_ended"] = "training_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEnded:
    """A segment reached its last epoch, and its checkpoint or model is durable."""

    trial: int
    attempt: int
    epoch: int
    over: bool
    """Training is over: the last epoch, or no improvement for `patience` epochs. The model was saved."""
    seconds: float
    """Wall time of the segment in the worker, from receiving it to the end of its training."""
    evaluations: list[Evaluation]
    time: int
    kind: Literal["segment_ended"] = "segment_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFailed:
    """A segment stopped before its last epoch; the worker is free, or gone."""

    trial: int
    attempt: int
    failure: FailureKind
    message: str
    """One sentence."""
    traceback: str
    time: int
    kind: Literal["segment_failed"] = "segment_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStarted:
    """A coordinator took the study up (also on every resume)."""

    study: str
    study_id: str
    """A UUID: names may be used again, ids never."""
    session: int
    """1 for the first start, 2 for the first resume, …"""
    experiment: dict[str, Any]
    """The experiment as validated, with overrides applied."""
    dataset: Dataset
    seed: int
    trials: int
    versions: dict[str, str]
    host: dict[str, Any]
    git_commit: str | None
    window: int = 0
    """In ordered mode, how many segments may be out before the oldest result is needed; else 0."""
    time: int
    kind: Literal["study_started"] = "study_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A configuration was chosen; its trial exists in the study from now on."""

    trial: int
    params: Params
    """All parameters, with defaults: what the worker gets."""
    sampled: Params
    """What the sampler chose, by the sampler's parameter names."""
    seed: int
    generation: int = 1
    """Which of the study's spaces it comes from: 1 until the space is edited."""
    time: int
    kind: Literal["trial_started"] = "trial_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStarted:
    """A segment was handed to a worker."""

    trial: int
    attempt: int
    start: int
    stop: int
    worker: int
    microbatches: int = 1
    time: int
    kind: Literal["segment_started"] = "segment_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial's one terminal state."""

    trial: int
    state: TrialState
    score: float | None
    """The first objective's value; None without a finite one."""
    values: list[float] | None = None
    """The values of all objectives, in their order; None unless all are finite."""
    epoch: int
    """Epochs trained."""
    reason: str
    """Why it ended, in a sentence fragment: `finished`, `outcompeted at epoch 3`, the failure's message."""
    failure: FailureKind | None
    traceback: str
    time: int
    kind: Literal["trial_ended"] = "trial_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEnded:
    """The coordinator let go of the study in an orderly way."""

    reason: str
    complete: bool
    """False if trials are missing and the study can be resumed."""
    time: int
    kind: Literal["study_ended"] = "study_ended"


TrialEvent: TypeAlias = (
    ModelMeasured
    | EpochEnded
    | CheckpointSaved
    | CheckpointDamaged
    | ModelSaved
    | SegmentEnded
    | SegmentFailed
)
WorkerEvent: TypeAlias = TrialEvent | DiskFull | TrainingEnded
Event: TypeAlias = TrialEvent | StudyStarted | TrialStarted | SegmentStarted | TrialEnded | StudyEnded

_EVENT_TYPES: dict[str, type] = {
    str(cls.__dataclass_fields__["kind"].default): cls
    for cls in (
        ModelMeasured, EpochEnded, CheckpointSaved, CheckpointDamaged, ModelSaved, SegmentEnded,
        SegmentFailed, DiskFull, TrainingEnded, StudyStarted, TrialStarted, SegmentStarted, TrialEnded,
        StudyEnded,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of the event log: `seq` counts from 1 without gaps."""

    seq: int
    event: Event = field()


@cache
def _adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def to_dict(record: Any) -> dict[str, Any]:
    """Any record as JSON-serialisable builtins."""
    return asdict(record)


def segment_from_dict(values: dict[str, Any]) -> Segment:
    """The inverse of `to_dict` for a segment; raises `pydantic.ValidationError`."""
    return _adapter(Segment).validate_python(values)  # type: ignore[no-any-return]


def event_from_dict(values: dict[str, Any]) -> Event | WorkerEvent:
    """The inverse of `to_dict` for an event; raises `KeyError` or `pydantic.ValidationError`."""
    return _adapter(_EVENT_TYPES[values["kind"]]).validate_python(values)  # type: ignore[no-any-return]


def event_from_log(values: dict[str, Any]) -> Event:
    """Like `event_from_dict`, many times faster, for values that a checksum vouches for.

    Raises:
        KeyError: there is no such kind of event.
        TypeError: the fields are not those of that kind.
    """
    kind = values["kind"]
    if kind == "study_started":  # the only one with tuples, and rare
        return event_from_dict(values)  # type: ignore[return-value]
    if "checkpoint" in values:
        values = values | {"checkpoint": Checkpoint(**values["checkpoint"])}
    if "evaluations" in values:
        values = values | {"evaluations": [Evaluation(**one) for one in values["evaluations"]]}
    return _EVENT_TYPES[kind](**values)  # type: ignore[no-any-return]
