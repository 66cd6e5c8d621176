"""What is said of the best score of a study, from the predictions that its trials have left."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.bootstrap import resamples
from harness.analysis.findings import Noise, Unknown
from harness.analysis.image_by_image import image_by_image
from harness.analysis.luck import luck
from harness.analysis.noise import noise_of
from harness.analysis.noise_text import noise_sentences
from harness.analysis.report import write_report
from harness.analysis.tables import leaderboard, ranking
from harness.analysis.verify import verify
from harness.metrics import METRICS
from harness.paths import StudyPaths
from harness.paths.study import validation_name
from harness.predictions import StoredPredictions, are_kept, read_predictions
from harness.seeds import seed_from
from harness.study.event_log import read
from harness.study.state import best, fold
from tests.analysis.drawn_study import STRONG, WEAK, drawn_predictions, right, write_study

IMAGES = 400


def judged(paths: StudyPaths) -> Noise:
    found = noise_of(paths.folder, fold(read(paths.log)))
    assert isinstance(found, Noise)
    return found


def reason(paths: StudyPaths) -> str:
    found = noise_of(paths.folder, fold(read(paths.log)))
    assert isinstance(found, Unknown)
    assert noise_sentences(found) == ([found.reason] if found.reason else [])
    return found.reason


def alike(count: int, strength: float = STRONG) -> list[StoredPredictions | None]:
    return [drawn_predictions(strength, IMAGES, seed) for seed in range(count)]


@pytest.mark.parametrize(
    ("metric", "direction"),
    [(f"val_{name}", "maximize" if one.maximize else "minimize") for name, one in METRICS.items()],
)
def test_trials_that_are_alike_are_tied_and_a_weak_one_is_not(metric: str, direction: str) -> None:
    found = judged(write_study([*alike(4), drawn_predictions(WEAK, IMAGES, 9)], metric, direction))
    assert (found.images, found.complete, found.trials) == (IMAGES, 5, (0, 1, 2, 3, 4))
    if metric == "val_top5_accuracy":  # all are hits of five, of three classes
        assert len(found.tied) == 4
        assert noise_sentences(found)[-1].startswith("best of 5, less than 0.1 points of it luck")
        return
    assert found.tied == {0, 1, 2, 3} - {found.best}
    assert found.luck > 0
    told, lucky = noise_sentences(found)
    assert told.startswith("≈ 3 trials that 400 validation images cannot tell from the best")
    assert lucky.startswith("best of 5, about ")
    assert ("points of it luck" in lucky) == (direction == "maximize")


def test_the_luck_is_that_of_all_trials_with_draws_from_the_studys_seed() -> None:
    found = judged(write_study(alike(20)))
    hits = np.stack([right(one) for one in alike(20) if one]).astype(float)
    assert found.luck == luck(hits, resamples(IMAGES, seed_from(3, "images")))
    assert 0.005 < found.luck < hits.mean(axis=1).max() - hits.mean(axis=1).min()


def test_a_clear_winner_is_told_from_all_others_and_owes_nothing_to_luck() -> None:
    found = judged(write_study([drawn_predictions(WEAK, IMAGES, 1), *alike(1)]))
    assert found.best == 1
    assert not found.tied
    told, lucky = noise_sentences(found)
    assert told.startswith("The 400 validation images tell the best, trial 1, from the other complete trial")
    assert lucky.startswith("best of 2, less than 0.1 points of it luck")


def test_the_leaderboard_marks_them_and_says_how_many_images_would_do() -> None:
    paths = write_study([*alike(3), drawn_predictions(WEAK, IMAGES, 9)], pruned=2)
    state, found = fold(read(paths.log)), judged(paths)
    rows = {row["trial"]: row for row in ranking(state, found).rows}
    assert [rows[number]["tied"] for number in (found.best, 3, 4)] == [None, False, None]
    assert all(rows[number]["tied"] is True for number in found.tied)
    assert rows[3]["images_needed"] == found.needed[3] < IMAGES
    frame = leaderboard(state, found)
    assert str(frame["images_needed"].dtype) == "Int64"
    assert "tied" not in ranking(state).columns
    assert "the luck in not being pruned, as 2 trials were, is not counted" in noise_sentences(found)[-1]


def test_one_trial_that_was_pruned_is_told_as_one() -> None:
    paths = write_study([*alike(3), drawn_predictions(WEAK, IMAGES, 9)], pruned=1)
    assert (
        "the luck in not being pruned, as 1 trial was, is not counted" in noise_sentences(judged(paths))[-1]
    )


def test_trials_without_predictions_of_their_own_are_not_counted() -> None:
    """One of an earlier version, one whose file is damaged, one of other images, one of another score."""
    others = drawn_predictions(STRONG, IMAGES, 7, labels_seed=1)
    paths = write_study([*alike(3), None, *alike(2), others])
    (paths.folder / validation_name(4)).write_bytes(b"nothing")
    found = judged(paths)
    assert found.complete == 7
    assert set(found.trials) == {0, 1, 2, 5}
    assert (
        "3 of 7 complete trials, without predictions or far behind, are not counted"
        in noise_sentences(found)[-1]
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert reason(write_study([None, None])) == ""


def test_nothing_is_said_of_a_best_trial_without_predictions() -> None:
    weak = [drawn_predictions(WEAK, IMAGES, seed) for seed in (1, 2)]
    paths = write_study([*alike(1), *weak])
    (paths.folder / validation_name(0)).unlink()
    assert "no stored predictions of trial 0, the best one, were found" in reason(paths)


def test_one_complete_trial_of_several_is_told_as_such() -> None:
    assert "1 of 4 trials is complete" in reason(write_study(alike(1), pruned=3))


def test_a_single_trial_needs_no_words() -> None:
    assert reason(write_study(alike(1))) == ""


def test_a_handful_of_images_says_nothing() -> None:
    assert "9 validation images" in reason(write_study([drawn_predictions(1, 9, seed) for seed in (0, 1)]))


def test_an_objective_that_is_not_of_images_is_told() -> None:
    assert "parameters" in reason(write_study(alike(2), "parameters", "minimize"))


def test_verify_misses_predictions_and_finds_changed_ones() -> None:
    paths = write_study(alike(3))

    def problems() -> list[str]:
        checks = verify(paths, read(paths.log), [], lambda: False, (), lambda _: "")
        return [problem for check in checks for problem in check.problems]

    assert problems() == []
    changed = paths.folder / validation_name(0)
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    (paths.folder / validation_name(2)).unlink()
    assert [problem.partition("validation.npz")[2] for problem in problems()] == [
        " was changed: its SHA-256 differs",
        " is missing",
    ]


def test_one_trial_image_by_image() -> None:
    paths = write_study([*alike(2), drawn_predictions(WEAK, IMAGES, 9)])
    state = fold(read(paths.log))
    champion = best(state)
    assert champion is not None
    found = image_by_image(paths.folder, state, state.trials[2])
    assert found is not None
    assert found.score is not None
    assert state.trials[2].score is not None
    assert found.score.low < state.trials[2].score < found.score.high
    assert [one.name for one in found.classes] == ["cat", "dog", "owl"]
    against = found.against_best
    assert against is not None
    assert against.best == champion.number
    assert against.interval is not None
    assert against.interval.high < 0
    mine, theirs = (right(stored) for number in (2, champion.number) if (stored := _stored(paths, number)))
    assert against.test.only_first == (mine & ~theirs).sum()
    assert against.test.p < 1e-6
    assert image_by_image(paths.folder, state, champion).against_best is None  # type: ignore[union-attr]


def _stored(paths: StudyPaths, number: int) -> StoredPredictions | None:
    model = fold(read(paths.log)).trials[number].model
    assert model is not None
    return read_predictions(paths.folder / model.predictions, model.predictions_sha256)


def test_the_report_says_all_of_it(tmp_path: Path) -> None:
    paths = write_study(alike(4))
    write_report(fold(read(paths.log)), tmp_path / "report.html", paths.folder)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    own = page.split("</head>")[1]
    for words in ("of it luck", "images_needed", "Reliability of trial", "recall, 95 %", "over other images"):
        assert words in own


@pytest.mark.slow
def test_the_commands_print_it() -> None:
    write_study([*alike(3), drawn_predictions(WEAK, IMAGES, 9)])

    def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True, check=True
        )

    table = harness("leaderboard")
    assert table.stdout.count("≈") == 2
    assert table.stderr.splitlines()[-1].startswith("best of 4, about")
    rows = json.loads(harness("leaderboard", "--json").stdout)
    assert [row["tied"] for row in rows] == [None, True, True, False]
    shown = harness("show", str(rows[1]["trial"])).stdout
    for words in ("over other images", "recall (95 %)", "ECE, 15 bins", "McNemar"):
        assert words in shown
    whole = json.loads(harness("show", "3", "--json").stdout)
    assert whole["image_by_image"]["against_best"]["best"] == rows[0]["trial"]


def test_predictions_are_kept_up_to_a_size() -> None:
    assert are_kept(10_000, 100)
    assert not are_kept(50_000, 1000)
    assert not are_kept(0, 10)


def test_of_clips_it_speaks_as_of_images() -> None:
    noise = judged(write_study(alike(20)))
    for found in (noise, replace(noise, tied=frozenset()), replace(noise, folds=True)):
        of_images = noise_sentences(found)
        assert any("image" in sentence for sentence in of_images)
        of_clips = noise_sentences(replace(found, noun="clip"))
        assert of_clips == [sentence.replace("image", "clip") for sentence in of_images]
