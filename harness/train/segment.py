"""One segment of one trial: from its start epoch to its stop epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.data.arrays import Arrays, load
from harness.errors import StudyError
from harness.experiment.parameters import signature
from harness.model.preprocessing import PixelStatistics
from harness.model.schedules import learning_rates
from harness.paths import StudyPaths, when_there_is_room
from harness.records import (
    CheckpointDamaged,
    CheckpointSaved,
    Dataset,
    DiskFull,
    EpochEnded,
    Evaluation,
    ModelMeasured,
    Segment,
    SegmentEnded,
    WorkerEvent,
)
from harness.seeds import seed_from
from harness.train import checkpoint as checkpoints
from harness.train.measure import check_limits, measure
from harness.train.metrics import evaluation, summary
from harness.train.model_file import save_model
from harness.train.order import class_weights, epoch_order
from harness.train.program import Program

ROOM_SECONDS = 2.0
"""How often a worker looks whether there is room on a full disk."""

MAX_PROGRAMS = 16
"""Compiled programs that a worker keeps; each holds a network and its graph."""

T = TypeVar("T")
Observe = Callable[[WorkerEvent], None]
Resident: TypeAlias = tuple[str, int, int, int]
"""Study folder, trial, epoch and microbatches of the state that a program is in."""


class DivergedError(Exception):
    """The loss is no longer a finite number."""


class WriteError(Exception):
    """A checkpoint or model cannot be written, and not for want of room."""


@dataclass(slots=True)
class Workbench:
    """What a worker keeps warm between segments: compiled programs and resident data."""

    programs: dict[str, Program] = field(default_factory=dict)
    """By signature, the one used last at the end."""
    resident: Resident | None = None
    """The trial that the program used last still holds, as it was at the end of its segment."""
    data_key: tuple[str, str] | None = None
    arrays: Arrays | None = None
    train_images: tf.Tensor | None = None
    train_labels: tf.Tensor | None = None
    labels: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """Of the training images."""
    validation: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]] | None = None
    statistics: PixelStatistics | None = None

    def open(self, dataset: Dataset) -> Arrays:
        """Make the data set resident, unless it is already."""
        key = (dataset.digest, dataset.split)
        if self.data_key != key or self.arrays is None:
            self.arrays = load(dataset)
            images, labels = self.arrays.train()
            self.train_images, self.train_labels = tf.constant(images), tf.constant(labels)
            self.labels, self.validation = np.asarray(labels), self.arrays.validation()
            self.statistics = _statistics(images)
            self.programs.clear()
            self.resident = None
            self.data_key = key
        return self.arrays

    def program(self, segment: Segment) -> Program:
        """The compiled program for this configuration on the open data set, made on first use."""
        assert self.statistics is not None
        dataset = segment.dataset
        key = f"{signature(segment.params)}/{segment.microbatches}"
        program = self.programs.pop(key, None)
        if program is None:
            while len(self.programs) >= MAX_PROGRAMS:
                del self.programs[next(iter(self.programs))]  # the one used longest ago
            program = Program(
                segment.params,
                dataset.image_shape,
                len(dataset.classes),
                self.statistics,
                microbatches=segment.microbatches,
            )
        self.programs[key] = program
        return program


def run_segment(
    segment: Segment, bench: Workbench, observe: Observe, should_stop: Callable[[], bool]
) -> None:
    """Train, evaluate after every epoch, and leave a checkpoint or the model behind.

    Every result goes through `observe`, which may be called from another thread; the last one is
    `SegmentEnded`. When `should_stop()` turns
    true the segment ends after the current epoch, with a checkpoint.

    Raises:
        DivergedError: the training loss became NaN or infinite.
        tf.errors.ResourceExhaustedError: out of memory.
    """
    began = time.monotonic()
    params = segment.params
    trial_folder = StudyPaths(Path(segment.study_folder)).trial(segment.trial)

    # Data and network
    arrays = bench.open(segment.dataset)
    program = bench.program(segment)
    epoch = _take_up(program, bench, segment, observe)
    if segment.measure:
        measured = measure(program, segment.measure)
        observe(ModelMeasured(trial=segment.trial, attempt=segment.attempt, measured=measured, time=now_ms()))
        check_limits(measured, segment.limits)

    # Epochs
    losses, over = list(segment.past_losses[:epoch]), False
    with _Saver(segment, trial_folder, observe) as saver:
        while epoch < segment.stop and not over:
            epoch += 1
            metrics = _train_epoch(program, bench, segment, epoch)
            # An epoch is told when the one before is safe, so that a kill costs one epoch at most.
            saver.wait()
            observe(
                EpochEnded(
                    trial=segment.trial, attempt=segment.attempt, epoch=epoch, metrics=metrics, time=now_ms()
                )
            )
            if not (np.isfinite(metrics["loss"]) and np.isfinite(metrics.get("val_loss", 0.0))):
                raise DivergedError(f"The training loss was {metrics['loss']} after epoch {epoch}.")
            losses.append(metrics.get("val_loss", metrics["loss"]))
            over = _no_longer_improves(losses, int(params["patience"])) or epoch == segment.max_epochs
            if not over:
                saver.save(epoch, program)
            if should_stop():
                break

    # Results
    evaluations: list[Evaluation] = []
    if over:
        assert bench.statistics is not None
        with program.averaged():
            evaluations = _evaluations(program, segment, arrays)
            write = partial(save_model, program, segment, arrays, trial_folder, epoch, bench.statistics)
            observe(_written(write, segment, trial_folder, observe))
    else:
        bench.resident = _identity(segment, epoch)
    observe(
        SegmentEnded(
            trial=segment.trial,
            attempt=segment.attempt,
            epoch=epoch,
            over=over,
            seconds=time.monotonic() - began,
            evaluations=evaluations,
            time=now_ms(),
        )
    )


def _take_up(program: Program, bench: Workbench, segment: Segment, observe: Observe) -> int:
    """Bring the program to where the trial is; returns the epochs it has been trained for."""
    resident, bench.resident = bench.resident, None
    if segment.checkpoint is not None and resident == _identity(segment, segment.checkpoint.epoch):
        return segment.checkpoint.epoch
    for checkpoint in (segment.checkpoint, segment.earlier_checkpoint):
        if checkpoint is None:
            continue
        program.reset(seed_from(segment.seed, "weights"), dropout=float(segment.params["dropout"]))
        try:
            program.restore(*checkpoints.load(Path(segment.study_folder), checkpoint))
        except (StudyError, ValueError) as error:
            observe(
                CheckpointDamaged(
                    trial=segment.trial,
                    attempt=segment.attempt,
                    checkpoint=checkpoint,
                    message=f"{error} An earlier state is used, and what came after it is trained again.",
                    time=now_ms(),
                )
            )
        else:
            return checkpoint.epoch
    program.reset(seed_from(segment.seed, "weights"), dropout=float(segment.params["dropout"]))
    return 0


def _identity(segment: Segment, epoch: int) -> Resident:
    return segment.study_folder, segment.trial, epoch, segment.microbatches


class _Saver:
    """Writes a segment's checkpoints from a thread of its own, one at a time."""

    def __init__(self, segment: Segment, trial_folder: Path, observe: Observe) -> None:
        self._segment = segment
        self._trial_folder = trial_folder
        self._observe = observe
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The last one is durable, and has been told, when this returns."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def save(self, epoch: int, program: Program) -> None:
        """Begin to write the program's present state."""
        self._pending = self._thread.submit(self._write, epoch, program.state())

    def wait(self) -> None:
        """Until what was begun is durable; raises what the writing raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write(self, epoch: int, state: tuple[checkpoints.Arrays, checkpoints.Arrays]) -> None:
        segment = self._segment
        write = partial(
            checkpoints.save, Path(segment.study_folder), self._trial_folder, epoch, segment.attempt, *state
        )
        saved = _written(write, segment, self._trial_folder, self._observe)
        self._observe(
            CheckpointSaved(trial=segment.trial, attempt=segment.attempt, checkpoint=saved, time=now_ms())
        )


def _written(write: Callable[[], T], segment: Segment, folder: Path, observe: Observe) -> T:
    """What `write` returns, once there is room for it."""

    def wait(error: OSError) -> None:
        observe(
            DiskFull(
                trial=segment.trial,
                attempt=segment.attempt,
                message=f"The sweep waits: {error.strerror} ({folder.parent}). Make room and it goes on.",
                time=now_ms(),
            )
        )
        time.sleep(ROOM_SECONDS)

    try:
        return when_there_is_room(write, wait)
    except OSError as error:
        raise WriteError(f"A file of the trial could not be written: {error}") from error


def _train_epoch(program: Program, bench: Workbench, segment: Segment, epoch: int) -> dict[str, float]:
    """Train one epoch and evaluate on the validation split; the epoch's metrics by name."""
    assert bench.train_images is not None
    assert bench.train_labels is not None
    assert bench.validation is not None
    params = segment.params
    began = time.monotonic()
    order = epoch_order(bench.labels, params, segment.seed, epoch)
    rates = learning_rates(params, epoch, segment.max_epochs, len(order))
    totals = program.train_epoch(
        bench.train_images,
        bench.train_labels,
        order,
        rates,
        seed_from(segment.seed, epoch),
        params,
        class_weights(bench.labels, params, len(segment.dataset.classes)),
    )
    trained = time.monotonic()
    metrics = {"loss": totals.loss, "accuracy": totals.accuracy}
    images, labels = bench.validation
    if len(images):
        with program.averaged():
            logits = program.predict(images)
        metrics |= {f"val_{name}": value for name, value in summary(logits, labels).items()}
    return metrics | {
        "learning_rate": float(rates[-1]),
        "epoch_seconds": time.monotonic() - began,
        "images_per_second": order.size / (trained - began),
    }


def _statistics(images: npt.NDArray[np.uint8]) -> PixelStatistics:
    """Mean and standard deviation of every channel."""
    channels = [
        np.bincount(images[..., channel].ravel(), minlength=256) for channel in range(images.shape[3])
    ]
    values = np.arange(256)
    means = [float((counts * values).sum() / counts.sum()) for counts in channels]
    deviations = [
        float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))
        for counts, mean in zip(channels, means, strict=True)
    ]
    return PixelStatistics(tuple(means), tuple(deviations))


def _no_longer_improves(losses: list[float], patience: int) -> bool:
    """Whether the lowest loss is more than `patience` epochs ago; a patience of 0 never ends."""
    return 0 < patience < len(losses) - int(np.argmin(losses))


def now_ms() -> int:
    """Wall-clock time in milliseconds."""
    return time.time_ns() // 1_000_000


def _evaluations(program: Program, segment: Segment, arrays: Arrays) -> list[Evaluation]:
    found = []
    images, labels = arrays.validation()
    if len(images):
        logits = program.predict(images)
        found.append(evaluation("validation", logits, labels, segment.dataset.classes))
    if segment.evaluate_test:
        images, labels = arrays.test()
        if len(images):
            logits = program.predict(images)
            found.append(evaluation("test", logits, labels, segment.dataset.classes))
    return found
