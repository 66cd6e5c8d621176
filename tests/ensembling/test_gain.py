"""What an ensemble gains is told on images that had no say, and luck is not taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.ensembling.ensemble import make_ensemble
from harness.ensembling.gain import gain_of
from harness.ensembling.library import Library, library_of
from harness.ensembling.selection import averaged, forward_selection
from harness.errors import StudyError
from harness.predictions import StoredPredictions
from harness.records import Gain
from harness.study.event_log import read
from harness.study.state import fold
from tests.analysis.drawn_study import STRONG, drawn_predictions, write_study


def choose(library: Library, most: int = 5) -> tuple[Gain, float]:
    """The gain of what is chosen, and its score."""

    def chosen(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return forward_selection(probabilities, labels, library.worth, most)

    picks = chosen(library.probabilities, library.labels)
    score = library.value(averaged(library.probabilities, picks), library.labels)
    return gain_of(library, picks, chosen, 3), score


def drawn(predictions: list[StoredPredictions | None], metric: str = "val_accuracy") -> Library:
    paths = write_study(predictions, metric, "minimize" if metric == "val_loss" else "maximize")
    return library_of(paths.folder, fold(read(paths.log)))


def alike(count: int, images: int, noise_seed: int = 0) -> list[StoredPredictions | None]:
    """Models that say nearly the same, so that their average is hardly better than one of them."""
    base = drawn_predictions(STRONG, images, noise_seed)
    found: list[StoredPredictions | None] = []
    for number in range(count):
        noise = np.random.default_rng(500 + number + 100 * noise_seed).normal(0, 0.15, base.logits.shape)
        found.append(StoredPredictions((base.logits + noise).astype(np.float32), base.labels))
    return found


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_models_that_err_independently_gain_and_it_is_shown(metric: str) -> None:
    """Five models of 90 % with errors of their own: their average is right on nearly all images."""
    library = drawn([drawn_predictions(STRONG, 600, seed) for seed in range(5)], metric)
    gain, score = choose(library)
    best = library.trials[0]
    assert (gain.trial, gain.score) == (best.number, best.score)
    assert gain.difference == pytest.approx(abs(score - gain.score))
    assert gain.held_out is not None
    assert gain.low is not None
    assert gain.high is not None
    assert 0 < gain.low <= gain.held_out <= gain.high
    assert gain.is_shown
    assert gain.only_ensemble is not None
    assert gain.only_trial is not None
    assert gain.only_ensemble > 2 * gain.only_trial
    assert gain.p is not None
    assert gain.p < 0.01


def test_models_that_say_the_same_seem_to_gain_and_are_called_no_better() -> None:
    """On the images that it was chosen by the average is never worse; that is luck, and told as such."""
    library = drawn(alike(12, 200))
    gain, score = choose(library)
    assert score >= library.trials[0].score  # type: ignore[operator]
    assert gain.difference > 0
    assert gain.held_out is not None
    assert gain.held_out < gain.difference
    assert not gain.is_shown


def test_of_a_handful_of_images_nothing_is_claimed() -> None:
    library = drawn([drawn_predictions(STRONG, 9, seed) for seed in range(3)])
    gain, _ = choose(library)
    assert (gain.held_out, gain.low, gain.p, gain.is_shown) == (None, None, None, False)


def test_the_library_has_trials_with_predictions_that_agree_with_their_scores_the_best_first() -> None:
    stored = [drawn_predictions(strength, 100, seed) for seed, strength in enumerate((1.0, 2.4, 1.6))]
    paths = write_study([*stored, None])
    state = fold(read(paths.log))
    library = library_of(paths.folder, state)
    assert [trial.number for trial in library.trials] == [1, 2, 0]
    scores = [library.value(one, library.labels) for one in library.probabilities]
    assert scores == pytest.approx([trial.score for trial in library.trials])
    state.trials[2].score = 0.123
    assert [trial.number for trial in library_of(paths.folder, state).trials] == [1, 0]


@pytest.mark.parametrize(
    ("predictions", "metric", "said"),
    [
        ([drawn_predictions(STRONG, 60, 0)], "val_accuracy", "An ensemble needs two complete trials"),
        ([None, None], "val_accuracy", "that have left their predictions"),
        (
            [drawn_predictions(STRONG, 60, 0), None],
            "val_accuracy",
            "2 complete trials of drawn one has",
        ),
        (
            [drawn_predictions(STRONG, 60, seed) for seed in range(2)],
            "parameters",
            "ranked by parameters, by which no average is better",
        ),
    ],
)
def test_why_there_is_none(predictions: list[StoredPredictions | None], metric: str, said: str) -> None:
    paths = write_study(predictions, metric)
    before = paths.log.read_bytes()
    with pytest.raises(StudyError, match=said):
        make_ensemble(paths)
    assert paths.log.read_bytes() == before


def test_no_better_than_one_alone_is_told_and_nothing_is_written() -> None:
    sure = drawn_predictions(9.0, 60, 0)
    paths = write_study([drawn_predictions(1.0, 60, 1), sure])
    before = paths.log.read_bytes()
    with pytest.raises(StudyError, match=r"No average .* better val_accuracy than trial 1 alone.* --top 2$"):
        make_ensemble(paths)
    with pytest.raises(StudyError, match="--top 3 is too many"):
        make_ensemble(paths, top=3)
    assert paths.log.read_bytes() == before
    assert not (paths.folder / "ensembles").exists()
