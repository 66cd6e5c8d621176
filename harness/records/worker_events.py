"""What workers report: frozen events with trial, attempt, and time in milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.records.basic import Checkpoint, Evaluation, FailureKind, Phase
from harness.records.device import Device
from harness.records.registry import event


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """One epoch of a trial: 1-based number, metrics by MLflow name, wall-clock time in ms."""

    trial: int
    attempt: int
    epoch: int
    """Counted through all folds of the trial (see `harness.experiment.folds`)."""
    metrics: dict[str, float]
    fold: int | None = None
    """From 0; None: there are no folds, or it is trained on all of their images."""
    time: int
    kind: Literal["epoch_ended"] = "epoch_ended"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMeasured:
    """What is known of a network before it is trained, by name: `parameters`, `latency_ms`.

    `latency_ms` are milliseconds for one image through the compiled prediction, on the device that trains.
    """

    trial: int
    attempt: int
    measured: dict[str, float]
    time: int
    kind: Literal["model_measured"] = "model_measured"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesReady:
    """The features that a trial trains on are all there: a worker has computed what was missing."""

    trial: int
    attempt: int
    body: str
    """The network that makes them, in words."""
    digest: str
    """SHA-256 (hex) of all that decides them: the images, the network with its weights, the views."""
    views: int
    """Of every training image."""
    computed: int
    """Images that the worker itself has computed features of, each view counted."""
    seconds: float
    """That it took, together with waiting for what other workers computed."""
    time: int
    kind: Literal["features_ready"] = "features_ready"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is durable on disk."""

    trial: int
    attempt: int
    checkpoint: Checkpoint
    time: int
    kind: Literal["checkpoint_saved"] = "checkpoint_saved"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDamaged:
    """A checkpoint could not be used; the trial goes on from an earlier one, or from its beginning."""

    trial: int
    attempt: int
    checkpoint: Checkpoint
    message: str
    """A sentence that says what is wrong with the checkpoint."""
    time: int
    kind: Literal["checkpoint_damaged"] = "checkpoint_damaged"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFull:
    """A worker waits for room on its disk; told to the coordinator, not written to the log."""

    trial: int
    attempt: int
    message: str
    time: int
    kind: Literal["disk_full"] = "disk_full"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAway:
    """Somebody waits for the object store that has the study's files; told to the coordinator, not written to
    the log."""

    trial: int
    attempt: int
    message: str
    time: int
    kind: Literal["store_away"] = "store_away"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """A worker is at work within an epoch; told to the coordinator, not written to the log."""

    trial: int
    attempt: int
    epoch: int
    """The epoch that is being trained, 1-based."""
    phase: Phase
    share: float
    """How much of the phase is done, from 0 to 1."""
    seconds: float
    """Since the epoch began."""
    time: int
    kind: Literal["pulse"] = "pulse"


@event
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
    weights_sha256: str = ""
    """What the weights in the file are recognised by (`harness.model_weights`); the file also holds the time
    at which it was written. Empty: a version before 0.5.0 wrote it."""
    predictions: str = ""
    """Path, relative to the study's folder, of the file with what the model predicted for every validation
    image (see `harness.predictions`); empty: there is none."""
    predictions_sha256: str = ""
    reference_sha256: str = ""
    """Of `reference.npz`; empty: an earlier version wrote it."""
    time: int
    kind: Literal["model_saved"] = "model_saved"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEnded:
    """The worker is free for another segment, but still writes this one's last file.

    Told to the coordinator, not written to the log: there, a segment ends when its files are durable.
    """

    trial: int
    attempt: int
    epoch: int
    over: bool
    """Whether training is over, as in `SegmentEnded`."""
    device_bytes: int | None = None
    """The most of its GPU's memory that the worker's tensors have taken; None: it has none, or that is not
    known."""
    time: int
    kind: Literal["training_ended"] = "training_ended"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEnded:
    """A segment reached its last epoch or was stopped, and its checkpoint or model is durable."""

    trial: int
    attempt: int
    epoch: int
    """The last whole epoch."""
    over: bool
    """Training is over: the last epoch, or no improvement for `patience` epochs. The model was saved. The end
    of a fold is not the end of its trial's training."""
    seconds: float
    """Wall time of the segment in the worker, from receiving it to the end of its training."""
    evaluations: list[Evaluation]
    predictions: str = ""
    """At the end of a fold: path, relative to the study's folder, of the file with what its model predicted
    for the images that it was not trained on (see `harness.predictions`); empty: there is none."""
    predictions_sha256: str = ""
    device: Device | None = None
    """The GPU that it was trained on; None: it was a processor, or an earlier version has trained it."""
    time: int
    kind: Literal["segment_ended"] = "segment_ended"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFailed:
    """A segment stopped before its last epoch; the worker is free, or gone."""

    trial: int
    attempt: int
    failure: FailureKind
    message: str
    """One sentence."""
    traceback: str
    shared: bool = False
    """Whether a GPU's memory ran out that other workers used as well: the configuration may fit alone."""
    time: int
    kind: Literal["segment_failed"] = "segment_failed"


TrialEvent: TypeAlias = (
    ModelMeasured
    | FeaturesReady
    | EpochEnded
    | CheckpointSaved
    | CheckpointDamaged
    | ModelSaved
    | SegmentEnded
    | SegmentFailed
)
WorkerEvent: TypeAlias = TrialEvent | DiskFull | StoreAway | Pulse | TrainingEnded
