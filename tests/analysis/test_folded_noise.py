"""What the best score of a study with folds is worth: models that have not seen an image judge by it."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from harness.analysis.bootstrap import resamples
from harness.analysis.findings import Noise, Unknown
from harness.analysis.luck import luck
from harness.analysis.noise import noise_of
from harness.analysis.noise_text import noise_sentences
from harness.analysis.tables import ranking
from harness.analysis.verify import verify
from harness.confirmation.candidates import candidates
from harness.paths import StudyPaths, sha256_of
from harness.paths.study import fold_predictions_name, model_name
from harness.predictions import StoredPredictions, read_predictions, write_predictions
from harness.records import EpochEnded, ModelSaved, SegmentEnded, StudyEnded, TrialEnded, TrialStarted
from harness.seeds import seed_from
from harness.study.event_log import EventLog, read
from harness.study.state import StudyState, fold
from harness.train.metrics import evaluation, summary
from tests.analysis.drawn_study import CLASSES, STRONG, WEAK, right
from tests.studies import DATASET, experiment, objective, study_started

IMAGES, PARTS, REPEATS, EPOCHS = 400, 3, 2, 4
SEED = 3

Drawn = list[StoredPredictions]
"""What the models of a trial's folds predicted."""


def parts() -> npt.NDArray[np.int64]:
    """The part of each image in each repeat, (REPEATS, IMAGES); parts differ in size."""
    dealt = [np.random.default_rng(repeat).permutation(IMAGES) % PARTS for repeat in range(REPEATS)]
    return np.stack(dealt)


def drawn(strength: float, seed: int) -> Drawn:
    labels = np.random.default_rng(0).integers(0, len(CLASSES), IMAGES).astype(np.int32)
    rng = np.random.default_rng(100 + seed)
    found = []
    for dealt in parts():
        for part in range(PARTS):
            images = np.flatnonzero(dealt == part).astype(np.int32)
            logits = rng.normal(size=(len(images), len(CLASSES))).astype(np.float32)
            logits[np.arange(len(images)), labels[images]] += np.float32(strength)
            found.append(StoredPredictions(logits, labels[images], images))
    return found


def write_study(
    trials: list[Drawn], metric: str = "val_accuracy", *, behind: int = 0, stored: bool = True
) -> StudyPaths:
    """Trials with all folds, of which those that were the best when they ended are complete.

    Args:
        trials: what their folds predicted, in the order in which they ended.
        metric: the objective, to be maximised.
        behind: further trials that got two folds only.
        stored: whether predictions are kept.
    """
    paths = StudyPaths.of("folded")
    paths.folder.mkdir(parents=True)
    counts = {"train": IMAGES, "validation": 0, "test": 0}
    data = replace(DATASET, classes=CLASSES, counts=counts, folds=PARTS, repeats=REPEATS)
    searched = experiment(objectives=objective(metric, "maximize"), training={"epochs": EPOCHS})
    every = [*trials, *[drawn(WEAK, 900 + number)[:2] for number in range(behind)]]
    events: list[Any] = [study_started(searched, study="folded", dataset=data, trials=len(every), seed=SEED)]
    highest = -1.0
    for number, folds in enumerate(every):
        params = {"depth": number + 1}
        events.append(TrialStarted(trial=number, params=params, sampled=params, seed=0, time=1))
        scores = []
        for index, of_fold in enumerate(folds):
            found = summary(of_fold.logits, of_fold.labels)
            metrics = {f"val_{name}": value for name, value in found.items()}
            scores.append(metrics[metric])
            name, sha256 = fold_predictions_name(number, index), ""
            if stored:
                (paths.folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_predictions(paths.folder / name, of_fold)
                sha256 = sha256_of(paths.folder / name)
            end = (index + 1) * EPOCHS
            evaluated = evaluation("validation", of_fold.logits, of_fold.labels, CLASSES)
            events += [
                EpochEnded(trial=number, attempt=1, epoch=end, metrics=metrics, fold=index, time=2),
                SegmentEnded(
                    trial=number, attempt=1, epoch=end, over=False, seconds=1, time=3,
                    evaluations=[replace(evaluated, fold=index)],
                    predictions=name if stored else "", predictions_sha256=sha256,
                ),
            ]  # fmt: skip
        score = fmean(scores)
        complete = len(folds) == PARTS * REPEATS and score > highest
        if complete:
            highest = score
            file = paths.folder / model_name(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"weights")
            end = (PARTS * REPEATS + 1) * EPOCHS
            events += [
                EpochEnded(trial=number, attempt=1, epoch=end, metrics={"loss": 0.1}, time=2),
                ModelSaved(
                    trial=number, attempt=1, epoch=end, file=model_name(number), sha256=sha256_of(file),
                    size=7, parameters=7, time=2,
                ),
                SegmentEnded(
                    trial=number, attempt=1, epoch=end, over=True, seconds=1, time=3, evaluations=[]
                ),
            ]  # fmt: skip
        events.append(
            TrialEnded(
                trial=number, state="complete" if complete else "pruned", score=score, values=[score],
                epoch=end, reason="", failure=None, traceback="", time=4,
            )
        )  # fmt: skip
    log = EventLog(paths.log)
    for event in [*events, StudyEnded(reason="all trials have ended", complete=True, time=5)]:
        log.append(event)
    log.close()
    return paths


def opened(paths: StudyPaths) -> tuple[StudyState, Noise | Unknown]:
    state = fold(read(paths.log))
    return state, noise_of(paths.folder, state)


def by_image(folds: Drawn) -> npt.NDArray[np.float64]:
    """How often each image was right, weighted so that the mean is that of the folds' accuracies."""
    total = np.zeros(IMAGES)
    for of_fold in folds:
        assert of_fold.images is not None
        total[of_fold.images] += right(of_fold) * IMAGES / len(of_fold.images) / len(folds)
    return total


@pytest.mark.parametrize("metric", ["val_accuracy", "val_f1_macro", "val_auroc_macro"])
def test_out_of_fold_predictions_say_which_trials_are_tied(metric: str) -> None:
    state, found = opened(write_study([*(drawn(STRONG, seed) for seed in range(4)), drawn(WEAK, 9)], metric))
    assert isinstance(found, Noise)
    assert (found.images, found.folds, found.complete, found.trials) == (IMAGES, True, 5, (0, 1, 2, 3, 4))
    assert found.tied == {0, 1, 2, 3} - {found.best}
    told, lucky = noise_sentences(found)
    assert told.startswith("≈ 3 trials that 400 images, predicted out of fold, cannot tell from the best")
    assert lucky.startswith("best of 5, about ")
    assert "points of it luck (1,000 bootstraps over 400 images, predicted out of fold" in lucky
    rows = {row["trial"]: row for row in ranking(state, found).rows}
    assert all(rows[number]["tied"] is True for number in found.tied)
    assert rows[4]["tied"] is False
    chosen = candidates(state, None, found)
    assert {one.number for one in chosen.trials} == {0, 1, 2, 3}
    assert "which 400 images, predicted out of fold, cannot tell apart" in chosen.why


def test_luck_is_that_of_all_trials_with_all_folds() -> None:
    trials = [drawn(STRONG, seed) for seed in range(20)]
    _, found = opened(write_study(trials, behind=3))
    assert isinstance(found, Noise)
    values = np.stack([by_image(folds) for folds in trials])
    assert found.luck == pytest.approx(luck(values, resamples(IMAGES, seed_from(SEED, "images"))))
    assert 0.002 < found.luck < values.mean(axis=1).max() - values.mean(axis=1).min()
    assert (found.complete, found.pruned) == (20, 3)
    assert "the luck in not being pruned, as 3 trials were, is not counted" in noise_sentences(found)[-1]


def test_it_is_never_passed_over_in_silence() -> None:
    _, found = opened(write_study([drawn(STRONG, 0), drawn(STRONG, 1)], stored=False))
    assert isinstance(found, Unknown)
    assert "what the models of the folds predicted was not stored" in found.reason


def test_one_trial_with_all_folds_is_told_as_such() -> None:
    _, found = opened(write_study([drawn(STRONG, 0)], behind=2))
    assert isinstance(found, Unknown)
    assert "1 of 3 trials has all folds" in found.reason


def test_a_trial_of_which_a_fold_is_lost_is_not_counted_and_verify_misses_it() -> None:
    paths = write_study([drawn(STRONG, 5), *(drawn(STRONG - 0.3, seed) for seed in range(3))])
    lost = paths.folder / fold_predictions_name(2, 4)
    lost.unlink()
    _, found = opened(paths)
    assert isinstance(found, Noise)
    assert found.trials == (0, 1, 3)
    assert "1 of 4 trials with all folds" in noise_sentences(found)[-1]
    checks = verify(paths, read(paths.log), [], lambda: False, (), lambda _: "")
    assert [one for check in checks for one in check.problems] == [f"{lost} is missing"]


def test_a_folds_file_says_which_images_it_is_of() -> None:
    paths = write_study([drawn(STRONG, 0), drawn(STRONG, 1)])
    state = fold(read(paths.log))
    file, sha256 = state.trials[1].fold_predictions[3]
    kept, expected = read_predictions(paths.folder / file, sha256), drawn(STRONG, 1)[3]
    assert kept is not None
    assert kept.images is not None
    np.testing.assert_array_equal(kept.images, expected.images)
    np.testing.assert_array_equal(kept.logits, expected.logits)


def test_the_estimate_is_right_on_average_over_studies() -> None:
    """Of twenty equally good trials that find the same images hard, the best one's excess is estimated."""
    excess, estimated = [], []
    counts = resamples(IMAGES, 1, most=200)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hard = rng.random(IMAGES) < 0.3
        chance = np.where(hard, 0.6, 0.95)
        # The mean of two repeats of an image: each of 0, 0.5 and 1.
        values = rng.binomial(REPEATS, chance, (20, IMAGES)) / REPEATS
        excess.append(values.mean(axis=1).max() - chance.mean())
        estimated.append(luck(values, counts))
    assert fmean(estimated) == pytest.approx(fmean(excess), rel=0.25)
