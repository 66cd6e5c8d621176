"""One segment of one trial: from its start epoch to its stop epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.data.arrays import Arrays, load
from harness.experiment.parameters import signature
from harness.model.preprocessing import PixelStatistics
from harness.model.schedules import learning_rates
from harness.paths import StudyPaths
from harness.records import (
    CheckpointSaved,
    Dataset,
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

CHECKPOINT_SECONDS = 30.0
"""A long segment saves its state about this often, so that a crash costs little."""

MAX_PROGRAMS = 16
"""Compiled programs that a worker keeps; each holds a network and its graph."""

Observe = Callable[[WorkerEvent], None]


class DivergedError(Exception):
    """The loss is no longer a finite number."""


@dataclass(slots=True)
class Workbench:
    """What a worker keeps warm between segments: compiled programs and resident data."""

    programs: dict[str, Program] = field(default_factory=dict)
    """By signature, the one used last at the end."""
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
            self.data_key = key
        return self.arrays

    def program(self, segment: Segment) -> Program:
        """The compiled program for this configuration on the open data set, made on first use."""
        assert self.statistics is not None
        dataset = segment.dataset
        key = signature(segment.params)
        program = self.programs.pop(key, None)
        if program is None:
            while len(self.programs) >= MAX_PROGRAMS:
                del self.programs[next(iter(self.programs))]  # the one used longest ago
            program = Program(segment.params, dataset.image_shape, len(dataset.classes), self.statistics)
        self.programs[key] = program
        return program


def run_segment(
    segment: Segment, bench: Workbench, observe: Observe, should_stop: Callable[[], bool]
) -> None:
    """Train, evaluate after every epoch, and leave a checkpoint or the model behind.

    Every result goes through `observe`; the last one is `SegmentEnded`. When `should_stop()` turns
    true the segment ends after the current epoch, with a checkpoint.

    Raises:
        DivergedError: the training loss became NaN or infinite.
        StudyError: the checkpoint to go on from is missing or damaged.
        tf.errors.ResourceExhaustedError: out of memory.
    """
    began = time.monotonic()
    study_folder, params = Path(segment.study_folder), segment.params
    trial_folder = StudyPaths(study_folder).trial(segment.trial)

    # Data and network
    arrays = bench.open(segment.dataset)
    program = bench.program(segment)
    program.reset(seed_from(segment.seed, "weights"), dropout=float(params["dropout"]))
    if segment.checkpoint is not None:
        program.restore(*checkpoints.load(study_folder, segment.checkpoint))

    if segment.measure:
        measured = measure(program, segment.measure)
        observe(ModelMeasured(trial=segment.trial, attempt=segment.attempt, measured=measured, time=now_ms()))
        check_limits(measured, segment.limits)

    # Epochs
    epoch, saved_at = segment.start, time.monotonic()
    saved_epoch = segment.start
    losses, over = list(segment.past_losses), False
    while epoch < segment.stop:
        epoch += 1
        metrics = _train_epoch(program, bench, segment, epoch)
        observe(
            EpochEnded(
                trial=segment.trial, attempt=segment.attempt, epoch=epoch, metrics=metrics, time=now_ms()
            )
        )
        if not (np.isfinite(metrics["loss"]) and np.isfinite(metrics.get("val_loss", 0.0))):
            raise DivergedError(f"The training loss was {metrics['loss']} after epoch {epoch}.")
        losses.append(metrics.get("val_loss", metrics["loss"]))
        over = _no_longer_improves(losses, int(params["patience"]))
        stopping = should_stop() or over
        if (
            epoch < segment.stop
            and not over
            and (stopping or time.monotonic() - saved_at > CHECKPOINT_SECONDS)
        ):
            _checkpoint(program, segment, trial_folder, epoch, observe)
            saved_at, saved_epoch = time.monotonic(), epoch
        if stopping:
            break

    # Results
    evaluations: list[Evaluation] = []
    over = over or epoch == segment.max_epochs
    if over:
        assert bench.statistics is not None
        with program.averaged():
            evaluations = _evaluations(program, segment, arrays)
            observe(save_model(program, segment, arrays, trial_folder, epoch, bench.statistics))
    elif epoch == segment.stop and saved_epoch < epoch:
        _checkpoint(program, segment, trial_folder, epoch, observe)
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


def _checkpoint(program: Program, segment: Segment, trial_folder: Path, epoch: int, observe: Observe) -> None:
    saved = checkpoints.save(Path(segment.study_folder), trial_folder, epoch, *program.state())
    observe(CheckpointSaved(trial=segment.trial, attempt=segment.attempt, checkpoint=saved, time=now_ms()))


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
