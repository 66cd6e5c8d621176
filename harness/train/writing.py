"""Checkpoints and models are written from a thread of their own, while training goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.clock import now_ms
from harness.data.feature_store import Keep
from harness.paths import when_there_is_room
from harness.paths.study import TRIALS, fold_predictions_name, trial_folder
from harness.predictions import StoredPredictions, are_kept, write_predictions
from harness.records import CheckpointSaved, DiskFull, ModelSaved, Segment, WorkerEvent
from harness.study_files import StudyFiles, study_files
from harness.train import checkpoint as checkpoints
from harness.train.model_file import ModelSnapshot, save_model
from harness.train.pulses import CutOffError
from harness.train.state import State
from harness.train.store_waits import when_store_answers

ROOM_SECONDS = 2.0
"""How often a worker looks whether there is room on a full disk."""

T = TypeVar("T")
Observe = Callable[[WorkerEvent], None]


class WriteError(Exception):
    """A checkpoint or model cannot be written: not for want of room, or nobody will wait for it."""


class Writer:
    """Writes one file after the other, in the order in which they were given."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Begin to write; the result is there when all is durable, and raises what the writing raised."""
        return self._thread.submit(job)


def write_checkpoint(
    segment: Segment,
    epoch: int,
    state: State,
    observe: Observe,
    should_stop: Callable[[], bool],
) -> None:
    """Write the trial's state after `epoch`, once there is room for it, and tell it."""
    files = study_files(segment.study_folder)
    write = partial(checkpoints.save, files, segment.trial, epoch, segment.attempt, state)
    saved = _written(write, segment, files, observe, should_stop)
    observe(CheckpointSaved(trial=segment.trial, attempt=segment.attempt, checkpoint=saved, time=now_ms()))


def write_model(
    segment: Segment, epoch: int, trained: ModelSnapshot, observe: Observe, should_stop: Callable[[], bool]
) -> None:
    """Write the trial's model, once there is room for it, and tell it."""
    files = study_files(segment.study_folder)
    write: Callable[[], ModelSaved] = partial(save_model, segment, files, epoch, trained)
    observe(_written(write, segment, files, observe, should_stop))


def write_fold_predictions(
    segment: Segment, predicted: StoredPredictions, observe: Observe, should_stop: Callable[[], bool]
) -> tuple[str, str]:
    """Write what the model of a fold predicts for its validation images, once there is room for it.

    Returns:
        The file's path relative to the study's folder and its SHA-256; empty where they are too many to be
        kept.
    """
    if not are_kept(*predicted.logits.shape):
        return "", ""
    assert segment.fold is not None
    files, name = study_files(segment.study_folder), fold_predictions_name(segment.trial, segment.fold)

    def write() -> str:
        files.write(name, partial(write_predictions, predictions=predicted))
        return files.stamp(name).sha256

    return name, _written(write, segment, files, observe, should_stop)


def keep_features(segment: Segment, folder: Path, observe: Observe, should_stop: Callable[[], bool]) -> Keep:
    """Writes features once there is room for them; raises CutOffError if the sweep ends before.

    Args:
        segment: that needs them.
        folder: of the prepared data.
        observe: told that the disk is full.
        should_stop: whether the sweep ends.
    """

    def wait(error: OSError) -> None:
        if should_stop():
            raise CutOffError from error
        _tell_full(segment, str(folder), error, observe)

    return partial(when_there_is_room, wait=wait)


def _written(
    write: Callable[[], T],
    segment: Segment,
    files: StudyFiles,
    observe: Observe,
    should_stop: Callable[[], bool],
) -> T:
    """What `write` returns, once there is room for it and its place can be reached.

    Raises:
        WriteError: the sweep ends before there is room.
        StoreLostError: it ends before the object store is back, or that takes too long.
    """

    def wait(error: OSError) -> None:
        if should_stop():
            where = files.shown(trial_folder(segment.trial))
            raise WriteError(f"The sweep ended while {where} had no room: {error.strerror}.") from error
        _tell_full(segment, files.shown(TRIALS), error, observe)

    try:
        return when_store_answers(partial(when_there_is_room, write, wait), segment, observe, should_stop)
    except OSError as error:
        raise WriteError(f"A file of the trial could not be written: {error}") from error


def _tell_full(segment: Segment, where: str, error: OSError, observe: Observe) -> None:
    """Say that the disk is full, and give somebody time to make room."""
    observe(
        DiskFull(
            trial=segment.trial,
            attempt=segment.attempt,
            message=f"The sweep waits: {error.strerror} ({where}). Make room and it goes on.",
            time=now_ms(),
        )
    )
    time.sleep(ROOM_SECONDS)
