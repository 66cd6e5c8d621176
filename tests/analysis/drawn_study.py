"""A study on disk whose trials have left drawn predictions, without a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.paths import StudyPaths, sha256_of
from harness.paths.study import model_name, validation_name
from harness.predictions import StoredPredictions, write_predictions
from harness.records import EpochEnded, ModelSaved, SegmentEnded, StudyEnded, TrialEnded, TrialStarted
from harness.study.event_log import EventLog
from harness.train.metrics import evaluation, summary
from tests.studies import DATASET, experiment, objective, study_started

CLASSES = ("cat", "dog", "owl")
STRONG, WEAK = 2.4, 0.6
"""How far the true class stands out: some 90 and 50 % of the images are right."""


def drawn_predictions(strength: float, images: int, seed: int, *, labels_seed: int = 0) -> StoredPredictions:
    """Predictions that are right the more often, the stronger they are."""
    labels = np.random.default_rng(labels_seed).integers(0, len(CLASSES), images).astype(np.int32)
    logits = np.random.default_rng(100 + seed).normal(size=(images, len(CLASSES))).astype(np.float32)
    logits[np.arange(images), labels] += np.float32(strength)
    return StoredPredictions(logits, labels)


def write_study(
    predictions: Sequence[StoredPredictions | None],
    metric: str = "val_accuracy",
    direction: str = "maximize",
    *,
    pruned: int = 0,
) -> StudyPaths:
    """Write the study `drawn`.

    Args:
        predictions: of every complete trial; of None a score is known, as in studies of earlier versions.
        metric: the objective.
        direction: of it.
        pruned: trials behind them that were pruned.
    """
    paths = StudyPaths.of("drawn")
    paths.folder.mkdir(parents=True)
    images = next((len(one.labels) for one in predictions if one), 300)
    data = replace(DATASET, classes=CLASSES, counts={"train": 10, "validation": images, "test": 0})
    searched = experiment(objectives=objective(metric, direction))
    count = len(predictions) + pruned
    events: list[Any] = [study_started(searched, study="drawn", dataset=data, trials=count, seed=3)]
    for number in range(count):
        complete = number < len(predictions)
        stored = predictions[number] if complete else None
        shown = stored or drawn_predictions(WEAK, images, number)
        metrics = {f"val_{name}": value for name, value in summary(shown.logits, shown.labels).items()}
        evaluated = evaluation("validation", shown.logits, shown.labels, CLASSES)
        score = (metrics | {"parameters": 7.0})[metric]
        params = {"depth": number + 1}
        events += [
            TrialStarted(trial=number, params=params, sampled=params, seed=0, time=1),
            EpochEnded(trial=number, attempt=1, epoch=1, metrics=metrics, time=2),
        ]
        if complete:
            events.append(_model(paths.folder, number, stored))
        events += [
            SegmentEnded(
                trial=number, attempt=1, epoch=1, over=complete, seconds=1, time=3,
                evaluations=[evaluated] if complete else [],
            ),
            TrialEnded(
                trial=number, state="complete" if complete else "pruned", score=score, values=[score],
                epoch=1, reason="", failure=None, traceback="", time=4,
            ),
        ]  # fmt: skip
    log = EventLog(paths.log)
    for event in [*events, StudyEnded(reason="all trials have ended", complete=True, time=5)]:
        log.append(event)
    log.close()
    return paths


def _model(folder: Path, number: int, stored: StoredPredictions | None) -> ModelSaved:
    file = folder / model_name(number)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    name, sha256 = "", ""
    if stored is not None:
        name = validation_name(number)
        write_predictions(folder / name, stored)
        sha256 = sha256_of(folder / name)
    return ModelSaved(
        trial=number, attempt=1, epoch=1, file=model_name(number), sha256=sha256_of(file), size=7,
        parameters=7, predictions=name, predictions_sha256=sha256, time=2,
    )  # fmt: skip


def right(predictions: StoredPredictions) -> npt.NDArray[np.bool_]:
    """Which images get their class."""
    found: npt.NDArray[np.bool_] = predictions.logits.argmax(axis=1) == predictions.labels
    return found
