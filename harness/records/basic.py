"""What records are made of: parameters, states, a data set, a checkpoint, a segment, an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Scalar: TypeAlias = bool | int | float | str
Params: TypeAlias = dict[str, Scalar]
TrialState: TypeAlias = Literal["complete", "pruned", "failed"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
RefusalReason: TypeAlias = Literal["first_rung", "full_training", "memory"]
Phase: TypeAlias = Literal["features", "training", "validation", "writing"]
FailureKind: TypeAlias = Literal[
    "out_of_memory", "diverged", "crash", "hang", "user_code", "infeasible", "preempted"
]


class Progress(Protocol):
    """A function that is told how far a long step is; the command line draws it, tests ignore it."""

    def __call__(self, label: str, done: int, total: int) -> None:
        """`done` of `total` units of the step `label` are finished."""


def noun_of(frames: int | None) -> str:
    """What one example of a data set is called in sentences: `image`, or `clip` where it has frames."""
    return "clip" if frames else "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A prepared data set: memory-mapped uint8 arrays in a folder, and one split of them.

    `folder` holds `train_images.npy` (uint8, N×H×W×C, or N×T×H×W×C of clips), `train_labels.npy` (int32, N)
    and, where the set has them, `validation_*.npy` and `test_*.npy`. `split` names an `.npz` file in it with
    the int64 index arrays `train` and `validation` (see `harness.data.arrays.load`). Which images are for
    testing stands in another file, which workers that train never open (see `harness.data.sealed`).
    """

    name: str
    folder: str
    split: str
    digest: str
    """SHA-256 (hex) of the source's content and of how it was decoded."""
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    """Height, width, channels (1 or 3) of an image, or of a clip's frame."""
    counts: dict[str, int]
    """Images after splitting and limits, by `train`, `validation`, `test`."""
    class_counts: dict[str, int]
    """Training images by class name."""
    frames: int = 0
    """The data set is one of clips with so many frames each, and all that is said of its images holds for
    them. 0: it is one of images."""
    pixel_range: tuple[float, float] | None = None
    """Values of the source that became 0 and 255; None: 8-bit pixels as they are."""
    folds: int = 0
    """Parts that `train` is dealt out to, each of which validates a training on the others; there are no
    `validation` images then. 0: there are no folds."""
    repeats: int = 1
    """How often they are dealt out."""
    split_digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of the images and labels of `train`, `validation` and `test`, in their order; empty where
    an earlier version has prepared the data."""
    warnings: tuple[str, ...] = ()
    """Sentences worth telling the user: skipped images, duplicates, conversions."""

    @property
    def example_shape(self) -> tuple[int, ...]:
        """What a network is given of an image: height, width, channels; of clips, before them the frames."""
        return (self.frames, *self.image_shape) if self.frames else self.image_shape

    @property
    def noun(self) -> str:
        """What one of its examples is called: `image` or `clip`."""
        return noun_of(self.frames)

    def described(self) -> str:
        """What its images are, in words: `images of 8×8×1`, `clips of 8 frames of 96×96×3`."""
        size = "×".join(map(str, self.image_shape))
        return f"clips of {self.frames} frames of {size}" if self.frames else f"images of {size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file from which a trial can go on: weights, optimizer state, epoch."""

    file: str
    """Path relative to the study's folder."""
    sha256: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Annealing:
    """The last epochs of a trial that is trained to its end early: its learning rate falls to 0 over them."""

    start: int
    """The epoch up to which the rate is as in a full training."""
    stop: int
    """The epoch after which the rate is 0 and the training is over: the trial's shortened horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The unit of work: one trial from epoch `start` (exclusive) to epoch `stop` (inclusive)."""

    study_folder: str
    """Where its files are: a folder, or a place in an object store."""
    trial: int
    attempt: int
    params: Params
    seed: int
    start: int
    stop: int
    max_epochs: int
    """Epochs that the learning-rate schedule is laid out for."""
    fold: int | None = None
    """The fold that is trained, from 0; None: the only training of the trial, or that on all of its
    images."""
    before: int = 0
    """Epochs of the trial before this training, whose own epochs are counted on from them."""
    last: int | None = None
    """The epoch at which this training is over; None: that of `annealing`, or `before` + `max_epochs`."""
    cycles: tuple[int, ...] = ()
    """Epochs at which the cycles of the schedule `cycle_per_rung` end, ascending; empty: there is one, which
    ends at `max_epochs`."""
    annealing: Annealing | None = None
    """How the trial is trained to its end early; None: it is not."""
    dataset: Dataset
    checkpoint: Checkpoint | None = None
    earlier_checkpoint: Checkpoint | None = None
    """The checkpoint before `checkpoint`, to go on from if that one turns out to be damaged."""
    granted: int | None = None
    """The epoch after which it ends as if it were asked to, because no more epochs are left; None: `stop`."""
    unfreeze_at: int | None = None
    """The last epoch before `params["unfreeze"]` holds, up to which it is 0; None: it never does."""
    epoch_images: int | None = None
    """Images that make an epoch; None: all of the training images."""
    microbatches: int = 1
    """Parts that a batch is cut into, their gradients being added up: 2 after memory ran out."""
    precision: Precision = "float32"
    past_losses: tuple[float, ...] = ()
    """Validation loss of the epochs of this training up to `start`, for early stopping."""
    measure: tuple[str, ...] = ()
    """What to find out about the network before it is trained: `parameters`, `latency_ms`."""
    limits: dict[str, float] = field(default_factory=dict)
    """Upper limits of what is measured; beyond them the network is not trained."""
    weights: str = ""
    """SHA-256 (hex) of the pretrained weights that the study began with; empty: there are none, or it is not
    known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How one split was classified: rows of the confusion matrix are true classes."""

    split: Literal["validation", "test"]
    metrics: dict[str, float]
    """The value of every metric in `harness.metrics.METRICS`, by its name."""
    per_class: list[dict[str, Any]]
    """`class`, `precision`, `recall`, `f1`, `support` for each class, in class order."""
    confusion: list[list[int]]
    fold: int | None = None
    """The fold whose validation images they are, from 0; None: there are no folds, or it is about all of
    them."""
