"""One segment of one trial: from its start epoch to its stop epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from harness.clock import now_ms
from harness.data.arrays import Arrays
from harness.model.schedules import learning_rates
from harness.predictions import StoredPredictions
from harness.records import (
    EpochEnded,
    Evaluation,
    FeaturesReady,
    ModelMeasured,
    Segment,
    SegmentEnded,
    TrainingEnded,
)
from harness.seeds import seed_from
from harness.train.batching import batch_indices, class_weights
from harness.train.device import used_device
from harness.train.images import SplitImages
from harness.train.measure import check_limits, measure
from harness.train.metrics import Logits, evaluation, summary
from harness.train.model_file import snapshot
from harness.train.program import Program
from harness.train.pulses import PULSE_SECONDS, CutOffError, Heart
from harness.train.stage import Stage, following, take_up
from harness.train.worker_cache import WorkerCache
from harness.train.writing import (
    Observe,
    keep_features,
    write_checkpoint,
    write_fold_predictions,
    write_model,
)


class DivergedError(Exception):
    """The loss is no longer a finite number."""


@dataclass(slots=True)
class _Trained:
    """How far a segment has come."""

    stage: Stage
    """What has trained it there."""
    epoch: int
    """The last whole epoch."""
    logits: Logits
    """Of the validation split after it."""
    over: bool = False
    """This training is over: of a fold, or of the trial."""
    cut_off: bool = False
    """The program is in the middle of the epoch after it, so that nothing can go on from there."""
    checkpoint: Future[None] | None = None
    """The last one, which may still be being written."""


def run_segment(
    segment: Segment, cache: WorkerCache, observe: Observe, should_stop: Callable[[], bool]
) -> Future[None]:
    """Train, evaluate after every epoch, and leave a checkpoint or the model behind; of a fold, predictions.

    Every result goes through `observe`, which is also called from another thread. When the training is
    over, `TrainingEnded` is told and the next segment may be run, while the last checkpoint or the model is
    still being written; then comes `SegmentEnded`. When `should_stop()` turns true the segment ends at the
    next pulse, with the checkpoint of its last whole epoch.

    Returns:
        What is done when `SegmentEnded` has been told. It raises WriteError if a file could not be written.

    Raises:
        DivergedError: a loss became NaN or infinite.
        WriteError: a checkpoint could not be written.
        StoreLostError: the object store that has the study's files could not be reached for too long.
        tf.errors.ResourceExhaustedError: out of memory.
    """
    began = time.monotonic()
    arrays = cache.open(segment.dataset)
    stage, start = take_up(segment, cache, observe, should_stop)
    _measure(stage, segment, observe)
    heart = Heart(segment, observe, should_stop)
    trained = _train(stage, cache, segment, start, heart, observe, should_stop)
    stage = trained.stage
    save_model: Callable[[], None] | None = None
    save_fold: Callable[[], tuple[str, str]] | None = None
    evaluations: list[Evaluation] = []
    if trained.over and segment.fold is None:
        with stage.program.averaged():
            evaluations = _evaluations(segment, arrays, trained.logits)
            model = snapshot(stage.program, arrays, trained.logits, stage.predict)
        save_model = partial(write_model, segment, trained.epoch, model, observe, should_stop)
    elif trained.over:
        predicted = _of_fold(segment, arrays, trained.logits)
        evaluations = [_fold_evaluation(segment, predicted)]
        save_fold = partial(write_fold_predictions, segment, predicted, observe, should_stop)
    elif not trained.cut_off:
        cache.resident = stage.resident(trained.epoch)
    cache.measure_program()
    device = used_device(stage.program)
    ended = SegmentEnded(
        trial=segment.trial,
        attempt=segment.attempt,
        epoch=trained.epoch if save_model or not trained.over else segment.stop,
        over=save_model is not None,
        seconds=time.monotonic() - began,
        evaluations=evaluations,
        device=device,
        time=now_ms(),
    )

    def conclude() -> None:
        if trained.checkpoint is not None:
            trained.checkpoint.result()
        if save_model is not None:
            save_model()
        file, sha256 = save_fold() if save_fold is not None else ("", "")
        observe(replace(ended, predictions=file, predictions_sha256=sha256, time=now_ms()))

    wait([cache.files] if cache.files else [])  # models do not pile up in memory
    observe(
        TrainingEnded(
            trial=ended.trial,
            attempt=ended.attempt,
            epoch=ended.epoch,
            over=ended.over,
            device_bytes=device.peak_bytes if device is not None else None,
            time=now_ms(),
        )
    )
    cache.files = cache.writer.submit(conclude)
    return cache.files


def _measure(stage: Stage, segment: Segment, observe: Observe) -> None:
    """Find out what must be known of the network; raises InfeasibleError if it is beyond a limit."""
    if segment.measure:
        measured = measure(stage.program, stage.predict_one, segment.measure)
        observe(ModelMeasured(trial=segment.trial, attempt=segment.attempt, measured=measured, time=now_ms()))
        check_limits(measured, segment.limits)


def _train(
    stage: Stage,
    cache: WorkerCache,
    segment: Segment,
    start: int,
    heart: Heart,
    observe: Observe,
    should_stop: Callable[[], bool],
) -> _Trained:
    """Train epoch by epoch from `start`, until the segment or the training is over, or it is to stop."""
    trained = _Trained(stage, start, np.zeros((0, len(segment.dataset.classes)), np.float32))
    losses = list(segment.past_losses[: start - segment.before])
    last_epoch = segment.annealing.stop if segment.annealing else segment.last
    whole = last_epoch or segment.before + segment.max_epochs
    patience = 0 if last_epoch else int(segment.params["patience"])
    last = min(segment.stop, segment.granted or segment.stop)

    def ready(digest: str, computed: int, seconds: float) -> None:
        assert stage.body is not None
        observe(
            FeaturesReady(
                trial=segment.trial,
                attempt=segment.attempt,
                body=stage.body.name,
                digest=digest,
                views=int(segment.params["views"]),
                computed=computed,
                seconds=seconds,
                time=now_ms(),
            )
        )

    assert cache.arrays is not None
    keep = keep_features(segment, cache.arrays.folder, observe, should_stop)
    try:
        while trained.epoch < last and not trained.over and not should_stop():
            trained.stage = stage = following(stage, segment, cache, trained.epoch)
            images = cache.images(stage.segment, stage.body, heart.computing, keep, ready)
            heart.begin(trained.epoch + 1)
            epoch = trained.epoch + 1 - segment.before
            metrics, trained.logits = _train_epoch(stage.program, images, stage.segment, epoch, heart)
            trained.epoch += 1
            # An epoch is told when the one before is safe, so that a kill costs one epoch at most.
            _wait_for(trained.checkpoint, heart)
            observe(
                EpochEnded(
                    trial=segment.trial,
                    attempt=segment.attempt,
                    epoch=trained.epoch,
                    metrics=metrics,
                    fold=segment.fold,
                    time=now_ms(),
                )
            )
            for name, which in (("loss", "training"), ("val_loss", "validation")):
                if not np.isfinite(metrics.get(name, 0.0)):
                    raise DivergedError(f"The {which} loss was {metrics[name]} after epoch {trained.epoch}.")
            losses.append(metrics.get("val_loss", metrics["loss"]))
            trained.over = trained.epoch == whole or _no_longer_improves(losses, patience)
            if not trained.over:
                write = partial(
                    write_checkpoint, segment, trained.epoch, stage.program.state(), observe, should_stop
                )
                trained.checkpoint = cache.writer.submit(write)
    except CutOffError:
        trained.cut_off = True
    except BaseException:
        wait([trained.checkpoint] if trained.checkpoint else [])  # it is not heard of after its failure
        raise
    return trained


def _wait_for(file: Future[None] | None, heart: Heart) -> None:
    """Wait until a file is durable, and say so again and again; raises what the writing raised."""
    while file is not None and not file.done():
        wait([file], timeout=PULSE_SECONDS)
        heart.writing()
    if file is not None:
        file.result()


def _train_epoch(
    program: Program, images: SplitImages, segment: Segment, epoch: int, heart: Heart
) -> tuple[dict[str, float], Logits]:
    """Train one epoch and evaluate; its metrics by name, and the logits of the validation split.

    Args:
        program: in the state after the epoch before.
        images: what is trained on and evaluated with.
        segment: with the parameters that hold in this epoch.
        epoch: of this training, 1-based.
        heart: told how far it is.

    Raises:
        CutOffError: the segment is to stop.
    """
    params = segment.params
    began = time.monotonic()
    labels = images.train_labels
    indices = batch_indices(labels, params, segment.seed, epoch, segment.epoch_images)
    indices = images.rows(indices, segment.seed, epoch)
    rates = learning_rates(params, epoch, segment.max_epochs, len(indices), segment.cycles, segment.annealing)
    totals = program.train_epoch(
        images.train.chunks(indices),
        rates,
        seed_from(segment.seed, epoch),
        params,
        class_weights(labels, params, len(segment.dataset.classes)),
        heart.training,
    )
    trained = time.monotonic()
    metrics = {"loss": totals.loss, "accuracy": totals.accuracy}
    labels = images.validation_labels
    with program.averaged():
        logits = program.predict(images.validation, heart.validating)
    if len(labels):
        metrics |= {f"val_{name}": value for name, value in summary(logits, labels).items()}
    metrics |= {
        "learning_rate": float(rates[-1]),
        "epoch_seconds": time.monotonic() - began,
        "images_per_second": indices.size / (trained - began),
    }
    return metrics, logits


def _no_longer_improves(losses: list[float], patience: int) -> bool:
    """Whether the lowest loss was `patience` epochs ago or more; a patience of 0 never ends."""
    return 0 < patience < len(losses) - int(np.argmin(losses))


def _evaluations(segment: Segment, arrays: Arrays, validation: Logits) -> list[Evaluation]:
    """How the validation images are classified; nothing where there are none."""
    if not len(validation):
        return []
    labels = arrays.on_disk("validation")[1]
    return [evaluation("validation", validation, labels, segment.dataset.classes)]


def _of_fold(segment: Segment, arrays: Arrays, validation: Logits) -> StoredPredictions:
    """What the model of a fold predicts for its validation images, and which these are."""
    assert segment.fold is not None
    images = np.flatnonzero(arrays.held_out(segment.fold)).astype(np.int32)
    labels = np.asarray(arrays.on_disk("train")[1][images], np.int32)
    return StoredPredictions(validation, labels, images)


def _fold_evaluation(segment: Segment, predicted: StoredPredictions) -> Evaluation:
    classes = segment.dataset.classes
    found = evaluation("validation", predicted.logits, predicted.labels, classes)
    return replace(found, fold=segment.fold)
