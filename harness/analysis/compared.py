"""The trials of a study compared image by image, by the predictions that they have left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.analysis.bootstrap import Floats, resamples
from harness.analysis.findings import Noise, images_that_judge, metric_of
from harness.analysis.luck import luck
from harness.analysis.paired import could_be_best, images_needed
from harness.metrics.counting import predictions_of
from harness.predictions import BYTES, StoredPredictions, read_predictions
from harness.seeds import seed_from
from harness.study.state import StudyState
from harness.study.trial import Trial

MOST_TRIALS = 200
"""That are compared; each is with every other."""
MOST_BYTES = 512 * 2**20
"""Logits that are read."""
ROUNDING = 1e-6
"""How far a score may be from what the stored predictions give."""


def judged(champion: Trial, found: dict[int, Floats], state: StudyState, complete: int) -> Noise:
    """Judge the scores of a study.

    Args:
        champion: its best trial.
        found: by trial the values by image, larger ones being better, n ≥ 10; the best trial's among them.
        state: of the study.
        complete: complete trials with a score; with folds, trials with all of them.
    """
    metric = metric_of(state.objective.name)
    assert metric is not None
    values = np.stack(list(found.values()))
    counts = resamples(values.shape[1], seed_from(state.started.seed, "images"))
    good = could_be_best(values, counts)
    own = found[champion.number]
    others = [number for number in found if number != champion.number]
    return Noise(
        best=champion.number,
        trials=tuple(found),
        complete=complete,
        pruned=sum(one.state == "pruned" and not one.all_folds for one in state.trials.values()),
        images=values.shape[1],
        folds=bool(state.folds.parts),
        resamples=len(counts),
        luck=luck(values, counts),
        in_points=metric.maximize,
        tied=frozenset(
            number for number, could in zip(found, good, strict=True) if could and number in others
        ),
        needed={number: images_needed(own - found[number]) for number in others},
        noun=state.started.dataset.noun,
    )


def stored_predictions(folder: Path, trial: Trial) -> StoredPredictions | None:
    """What a trial's model predicted for the validation images; None if that is not stored, or damaged."""
    if trial.model is None or not trial.model.predictions:
        return None
    return read_predictions(folder / trial.model.predictions, trial.model.predictions_sha256)


def values_of(predictions: StoredPredictions, objective: str) -> Floats:
    """Values by image of which an objective is the mean, (n,); there must be such."""
    metric = metric_of(objective)
    assert metric is not None
    assert metric.by_image is not None
    return metric.by_image(predictions_of(predictions.logits, predictions.labels))


def values_by_trial(folder: Path, state: StudyState, trials: Sequence[Trial]) -> dict[int, Floats]:
    """The objective image by image, as far as trials have left predictions that agree with their scores.

    Args:
        folder: of the study.
        state: of the study.
        trials: complete ones with a score; with folds, those that have all of them.

    Returns:
        By the trials' numbers, ascending, values of which the score is the mean, (n,), larger ones being
        better; of many trials those with the best scores.
    """
    labels: npt.NDArray[np.int32] | None = None
    found: dict[int, Floats] = {}
    for trial in _affordable(trials, state):
        judged_by = _values_and_labels(folder, state, trial)
        if judged_by is None or not (labels is None or np.array_equal(labels, judged_by[1])):
            continue
        values = judged_by[0]
        assert trial.score is not None
        if abs(values.mean() - trial.score) <= ROUNDING * max(1.0, abs(trial.score)):
            labels = judged_by[1]
            found[trial.number] = values if state.objective.maximize else -values
    return dict(sorted(found.items()))


def _values_and_labels(
    folder: Path, state: StudyState, trial: Trial
) -> tuple[Floats, npt.NDArray[np.int32]] | None:
    """Values by image of which the objective is the mean, (n,), and the true classes; None: not stored.

    With folds an image has the mean of its values in all repeats, by the folds that were not trained on it.
    The score is a mean over folds, so that in a fold that is smaller than others an image counts more.
    """
    if not state.folds.parts:
        stored = stored_predictions(folder, trial)
        return None if stored is None else (values_of(stored, state.objective.name), stored.labels)
    images, folds = images_that_judge(state.started.dataset), range(state.folds.number)
    values, labels, times = np.zeros(images), np.zeros(images, np.int32), np.zeros(images, np.int64)
    for fold in folds:
        file, sha256 = trial.fold_predictions.get(fold, ("", ""))
        of_fold = read_predictions(folder / file, sha256) if file else None
        if of_fold is None or of_fold.images is None or not len(of_fold.images):
            return None
        share = images / (len(of_fold.images) * len(folds))
        values[of_fold.images] += share * values_of(of_fold, state.objective.name)
        labels[of_fold.images] = of_fold.labels
        times[of_fold.images] += 1
    return (values, labels) if (times == state.folds.repeats).all() else None


def _affordable(scored: Sequence[Trial], state: StudyState) -> list[Trial]:
    """The trials with the best scores, best first, as many as may be read."""

    def key(trial: Trial) -> tuple[float, int]:
        return -state.objective.larger_is_better(trial.score or 0.0), trial.number

    data = state.started.dataset
    size = max(1, images_that_judge(data) * data.repeats * len(data.classes) * BYTES)
    return sorted(scored, key=key)[: min(MOST_TRIALS, max(2, MOST_BYTES // size))]
