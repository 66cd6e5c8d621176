"""One segment of one trial: from its start epoch to its stop epoch."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import psutil

from harness.clock import now_ms
from harness.data.arrays import Arrays, ImagesOnDisk, load
from harness.errors import StudyError
from harness.experiment.parameters import signature
from harness.model.preprocessing import PixelStatistics
from harness.model.schedules import learning_rates
from harness.records import (
    CheckpointDamaged,
    Dataset,
    EpochEnded,
    Evaluation,
    ModelMeasured,
    Segment,
    SegmentEnded,
    TrainingEnded,
)
from harness.seeds import seed_from
from harness.train import checkpoint as checkpoints
from harness.train.images import SplitImages, split_images
from harness.train.measure import check_limits, measure
from harness.train.metrics import Logits, evaluation, summary
from harness.train.model_file import trained_model
from harness.train.order import class_weights, epoch_order
from harness.train.program import Program
from harness.train.writing import Observe, Writer, write_checkpoint, write_model

STATISTICS_IMAGES = 4096
"""Images that are counted at a time."""

Resident: TypeAlias = tuple[str, int, int, int]
"""Study folder, trial, epoch and microbatches of the state that a program is in."""


class DivergedError(Exception):
    """The loss is no longer a finite number."""


@dataclass(slots=True)
class Workbench:
    """What a worker keeps warm between segments: compiled programs and resident data."""

    programs_memory: int = 2 << 30
    """Bytes beyond which the programs used longest ago are dropped before another is made."""
    data_memory: int = 2 << 30
    """Bytes of training and validation images up to which they are resident."""
    programs: dict[str, Program] = field(default_factory=dict)
    """By signature, the one used last at the end."""
    sizes: dict[str, int] = field(default_factory=dict)
    """What each program added to the process's memory, in bytes."""
    _before: int = 0
    resident: Resident | None = None
    """The trial that the program used last still holds, as it was at the end of its segment."""
    data_key: tuple[str, str] | None = None
    arrays: Arrays | None = None
    images: SplitImages | None = None
    statistics: PixelStatistics | None = None
    writer: Writer = field(default_factory=Writer)
    files: Future[None] | None = None
    """What is still being written of the segment before."""

    def open(self, dataset: Dataset) -> Arrays:
        """Make the data set resident, unless it is already."""
        key = (dataset.digest, dataset.split)
        if self.data_key != key or self.arrays is None:
            self.arrays = load(dataset)
            self.images = split_images(self.arrays, self.data_memory)
            self.statistics = _statistics(self.arrays.on_disk("train")[0])
            self.programs.clear()
            self.sizes.clear()
            self.resident = None
            self.data_key = key
        return self.arrays

    def program(self, segment: Segment) -> Program:
        """The compiled program for this configuration on the open data set, made on first use."""
        assert self.statistics is not None
        dataset = segment.dataset
        key = f"{signature(segment.params)}/{segment.microbatches}/{segment.precision}"
        program = self.programs.pop(key, None)
        if program is None:
            while self.programs and sum(self.sizes.values()) > self.programs_memory:
                oldest = next(iter(self.programs))
                del self.programs[oldest]
                self.sizes.pop(oldest, None)  # not known if its first segment failed
                gc.collect()  # a network and its graphs refer to each other
            self._before = psutil.Process().memory_info().rss
            program = Program(
                segment.params,
                dataset.image_shape,
                len(dataset.classes),
                self.statistics,
                microbatches=segment.microbatches,
                precision=segment.precision,
            )
        self.programs[key] = program
        return program

    def measure_program(self) -> None:
        """After the first segment of the program used last: what it has added to the process."""
        last = next(reversed(self.programs))
        if last not in self.sizes:
            self.sizes[last] = max(0, psutil.Process().memory_info().rss - self._before)


def run_segment(
    segment: Segment, bench: Workbench, observe: Observe, should_stop: Callable[[], bool]
) -> Future[None]:
    """Train, evaluate after every epoch, and leave a checkpoint or the model behind.

    Every result goes through `observe`, which is also called from another thread. When the training is
    over, `TrainingEnded` is told and the next segment may be run, while the last checkpoint or the model is
    still being written; then comes `SegmentEnded`. When `should_stop()` turns true the segment ends after
    the current epoch, with a checkpoint.

    Returns:
        What is done when `SegmentEnded` has been told. It raises WriteError if a file could not be written.

    Raises:
        DivergedError: a loss became NaN or infinite.
        WriteError: a checkpoint could not be written.
        tf.errors.ResourceExhaustedError: out of memory.
    """
    began = time.monotonic()
    params = segment.params

    # Data and network
    arrays = bench.open(segment.dataset)
    program = bench.program(segment)
    epoch = _take_up(program, bench, segment, observe)
    _measure(program, segment, observe)

    # Epochs
    losses, over = list(segment.past_losses[:epoch]), False
    logits = np.zeros((0, len(segment.dataset.classes)), np.float32)
    checkpoint: Future[None] | None = None
    try:
        while epoch < segment.stop and not over:
            epoch += 1
            metrics, logits = _train_epoch(program, bench, segment, epoch)
            # An epoch is told when the one before is safe, so that a kill costs one epoch at most.
            if checkpoint is not None:
                checkpoint.result()
            observe(
                EpochEnded(
                    trial=segment.trial, attempt=segment.attempt, epoch=epoch, metrics=metrics, time=now_ms()
                )
            )
            for name, which in (("loss", "training"), ("val_loss", "validation")):
                if not np.isfinite(metrics.get(name, 0.0)):
                    raise DivergedError(f"The {which} loss was {metrics[name]} after epoch {epoch}.")
            losses.append(metrics.get("val_loss", metrics["loss"]))
            over = _no_longer_improves(losses, int(params["patience"])) or epoch == segment.max_epochs
            if not over:
                checkpoint = bench.writer.submit(
                    partial(write_checkpoint, segment, epoch, program.state(), observe, should_stop)
                )
            if should_stop():
                break
    except BaseException:
        wait([checkpoint] if checkpoint else [])  # nothing is heard of this segment after its failure
        raise

    # Results
    save_model: Callable[[], None] | None = None
    evaluations: list[Evaluation] = []
    if over:
        with program.averaged():
            evaluations = _evaluations(program, segment, bench, logits)
            trained = trained_model(program, arrays, logits)
        save_model = partial(write_model, segment, epoch, trained, observe, should_stop)
    else:
        bench.resident = _identity(segment, epoch)
    bench.measure_program()
    ended = SegmentEnded(
        trial=segment.trial,
        attempt=segment.attempt,
        epoch=epoch,
        over=over,
        seconds=time.monotonic() - began,
        evaluations=evaluations,
        time=now_ms(),
    )

    def conclude() -> None:
        if checkpoint is not None:
            checkpoint.result()
        if save_model is not None:
            save_model()
        observe(replace(ended, time=now_ms()))

    wait([bench.files] if bench.files else [])  # models do not pile up in memory
    observe(
        TrainingEnded(trial=segment.trial, attempt=segment.attempt, epoch=epoch, over=over, time=now_ms())
    )
    bench.files = bench.writer.submit(conclude)
    return bench.files


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


def _measure(program: Program, segment: Segment, observe: Observe) -> None:
    """Find out what must be known of the network; raises InfeasibleError if it is beyond a limit."""
    if segment.measure:
        measured = measure(program, segment.measure)
        observe(ModelMeasured(trial=segment.trial, attempt=segment.attempt, measured=measured, time=now_ms()))
        check_limits(measured, segment.limits)


def _identity(segment: Segment, epoch: int) -> Resident:
    return segment.study_folder, segment.trial, epoch, segment.microbatches


def _train_epoch(
    program: Program, bench: Workbench, segment: Segment, epoch: int
) -> tuple[dict[str, float], Logits]:
    """Train one epoch and evaluate; its metrics by name, and the logits of the validation split."""
    assert bench.images is not None
    params = segment.params
    began = time.monotonic()
    order = epoch_order(bench.images.train_labels, params, segment.seed, epoch)
    rates = learning_rates(params, epoch, segment.max_epochs, len(order))
    totals = program.train_epoch(
        bench.images.train.chunks(order),
        rates,
        seed_from(segment.seed, epoch),
        params,
        class_weights(bench.images.train_labels, params, len(segment.dataset.classes)),
    )
    trained = time.monotonic()
    metrics = {"loss": totals.loss, "accuracy": totals.accuracy}
    labels = bench.images.validation_labels
    with program.averaged():
        logits = program.predict(bench.images.validation)
    if len(labels):
        metrics |= {f"val_{name}": value for name, value in summary(logits, labels).items()}
    metrics |= {
        "learning_rate": float(rates[-1]),
        "epoch_seconds": time.monotonic() - began,
        "images_per_second": order.size / (trained - began),
    }
    return metrics, logits


def _statistics(images: ImagesOnDisk) -> PixelStatistics:
    """Mean and standard deviation of every channel."""
    channels = images.pool.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(images), STATISTICS_IMAGES):
        some = images[start : start + STATISTICS_IMAGES]
        for channel in range(channels):
            counts[channel] += np.bincount(some[..., channel].ravel(), minlength=256)
    values = np.arange(256)
    means = [float((own * values).sum() / own.sum()) for own in counts]
    deviations = [
        float(np.sqrt((own * (values - mean) ** 2).sum() / own.sum()))
        for own, mean in zip(counts, means, strict=True)
    ]
    return PixelStatistics(tuple(means), tuple(deviations))


def _no_longer_improves(losses: list[float], patience: int) -> bool:
    """Whether the lowest loss is more than `patience` epochs ago; a patience of 0 never ends."""
    return 0 < patience < len(losses) - int(np.argmin(losses))


def _evaluations(
    program: Program, segment: Segment, bench: Workbench, validation: Logits
) -> list[Evaluation]:
    assert bench.arrays is not None
    assert bench.images is not None
    found = []
    classes = segment.dataset.classes
    if len(validation):
        found.append(evaluation("validation", validation, bench.images.validation_labels, classes))
    if segment.evaluate_test:
        images, labels = bench.arrays.on_disk("test")
        if len(images):
            found.append(evaluation("test", program.predict(images), labels, classes))
    return found
