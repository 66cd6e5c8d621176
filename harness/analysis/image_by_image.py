"""One trial image by image: how sure its figures are, how it compares with the best one, its calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.analysis.bootstrap import (
    Interval,
    bca_interval,
    resamples,
    score_interval,
    share_interval,
)
from harness.analysis.calibration import Calibration, calibration
from harness.analysis.compared import stored_predictions, values_of
from harness.analysis.findings import is_by_image
from harness.analysis.paired import McNemar, images_needed, mcnemar
from harness.metrics.counting import predictions_of
from harness.metrics.metric import Predictions
from harness.predictions import StoredPredictions
from harness.seeds import seed_from
from harness.study.state import StudyState, best
from harness.study.trial import Trial


@dataclass(frozen=True, slots=True)
class ClassIntervals:
    """Where precision and recall of one class lie, with a probability of 95 %; None without images."""

    name: str
    precision: Interval | None
    recall: Interval | None


@dataclass(frozen=True, slots=True)
class AgainstBest:
    """A trial compared with the best one of its study on the same images."""

    best: int
    """The number of the best trial."""
    difference: float
    """By how much the objective is above the best trial's."""
    interval: Interval | None
    """Where the difference lies over images, with a probability of 95 %; None if no image makes one."""
    test: McNemar
    """Of the images that only this trial, and only the best one gets right."""
    images_needed: int | None
    """How many would tell the two apart if they differ as they do on these; None if they do not."""


@dataclass(frozen=True, slots=True)
class ImageByImage:
    """What the stored predictions of one trial say, for the validation split."""

    images: int
    score: Interval | None
    """Where the objective lies over images; None if it is no mean over them, or they are all the same."""
    classes: tuple[ClassIntervals, ...]
    calibration: Calibration
    against_best: AgainstBest | None
    """None for the best trial itself, and where nothing is known of the best one."""


def image_by_image(folder: Path, state: StudyState, trial: Trial) -> ImageByImage | None:
    """Judge one trial by its stored predictions; None if it has none.

    Args:
        folder: of the study.
        state: of the study.
        trial: one of it.
    """
    stored = stored_predictions(folder, trial)
    if stored is None:
        return None
    counted = predictions_of(stored.logits, stored.labels)
    counts = resamples(len(stored.labels), seed_from(state.started.seed, "images"))
    objective = state.objective.name
    return ImageByImage(
        images=len(stored.labels),
        score=score_interval(values_of(stored, objective), counts) if is_by_image(objective) else None,
        classes=_class_intervals(counted, state.started.dataset.classes),
        calibration=calibration(stored),
        against_best=_against_best(folder, state, trial, stored) if is_by_image(objective) else None,
    )


def _class_intervals(counted: Predictions, classes: tuple[str, ...]) -> tuple[ClassIntervals, ...]:
    confusion = counted.confusion
    hits, support, guesses = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassIntervals(
            name,
            precision=share_interval(int(hits[index]), int(guesses[index])),
            recall=share_interval(int(hits[index]), int(support[index])),
        )
        for index, name in enumerate(classes)
    )


def _against_best(
    folder: Path, state: StudyState, trial: Trial, stored: StoredPredictions
) -> AgainstBest | None:
    champion = best(state)
    if champion is None or champion.number == trial.number:
        return None
    other = stored_predictions(folder, champion)
    if other is None or not np.array_equal(other.labels, stored.labels):
        return None
    differences = values_of(stored, state.objective.name) - values_of(other, state.objective.name)
    counts = resamples(len(differences), seed_from(state.started.seed, "images"))
    return AgainstBest(
        best=champion.number,
        difference=float(differences.mean()),
        interval=bca_interval(differences, counts),
        test=mcnemar(
            stored.logits.argmax(axis=1) == stored.labels, other.logits.argmax(axis=1) == other.labels
        ),
        images_needed=images_needed(differences),
    )
