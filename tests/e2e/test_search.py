"""What a search can be asked for beyond one score: several objectives, limits, edited spaces, warm starts."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

pytestmark = pytest.mark.slow

QUICK = ["--epochs", "2", "--set", "dataset.limit_train=300", "--set", "training.precision=float32"]


def harness(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_several_objectives_give_a_pareto_front_and_limits_hold() -> None:
    harness(
        "sweep", "pareto", "--trials", "8", "--study", "front", *QUICK, "--set", "limits.parameters=20000"
    )
    board = json.loads(harness("leaderboard", "front", "--json").stdout)
    assert len(board) == 8
    complete = [row for row in board if row["state"] == "complete"]
    infeasible = [row for row in board if row["state"] == "failed: infeasible"]
    assert len(complete) + len(infeasible) == 8
    assert infeasible
    assert all(row["parameters"] <= 20000 and row["epochs"] == 2 for row in complete)
    assert all(row["parameters"] > 20000 and row["epochs"] == 0 for row in infeasible)
    front = [row for row in complete if row["pareto"]]
    assert front
    for row in complete:
        better = [
            other
            for other in complete
            if other["score"] >= row["score"]
            and other["parameters"] <= row["parameters"]
            and other["latency_ms"] <= row["latency_ms"]
            and other is not row
        ]
        assert row["pareto"] == (not better)
    stored = optuna.load_study(study_name="front", storage="sqlite:///.harness/optuna.db")
    assert {trial.number for trial in stored.best_trials} == {row["trial"] for row in front}


def test_an_edited_space_carries_over_what_fits() -> None:
    Path("mine.yaml").write_text(
        "name: mine\nspace:\n  depth: {type: int, low: 1, high: 2}\n  width: [4, 8]\n"
    )
    harness("sweep", "mine.yaml", "--trials", "3", "--study", "edited", *QUICK)
    Path("mine.yaml").write_text(
        "name: mine\nspace:\n  depth: {type: int, low: 2, high: 2}\n  width: [8, 12]\n"
    )
    done = harness("sweep", "mine.yaml", "--trials", "5", "--study", "edited", *QUICK)
    assert "The space has been edited" in done.stderr
    assert "schedule: cycle_per_rung (as the study began)" in done.stderr
    board = json.loads(harness("leaderboard", "edited", "--json").stdout)
    assert len(board) == 5
    for row in board:
        shown = json.loads(harness("show", str(row["trial"]), "--study", "edited", "--json").stdout)
        assert shown["params"]["schedule"] == "cycle_per_rung"
    new = [row for row in board if row["trial"] >= 3]
    assert all(row["width"] in (8, 12) for row in new)
    stored = optuna.load_study(study_name="edited (space 2)", storage="sqlite:///.harness/optuna.db")
    assert len(stored.trials) == len(new)


def test_a_finite_space_ends_a_sweep_early_and_says_so() -> None:
    Path("few.yaml").write_text("name: few\nspace:\n  width: [4, 8]\n  depth: [1]\n")
    done = harness("sweep", "few.yaml", "--trials", "20", *QUICK)
    assert "all 2 configurations of the space have been tried" in done.stderr


def test_a_warm_start_says_what_it_took_over() -> None:
    Path("mine.yaml").write_text(
        "name: mine\nspace:\n  depth: {type: int, low: 1, high: 2}\n  width: [4, 8]\n"
    )
    harness("sweep", "mine.yaml", "--trials", "3", "--study", "first", *QUICK)
    done = harness("sweep", "mine.yaml", "--trials", "1", "--set", "search.warm_start=[first]", *QUICK)
    assert "warm start: 3 of the 3 trials of first fit the space" in done.stderr
    done = harness("sweep", "mine.yaml", "--set", "search.warm_start=[nothing]", *QUICK, code=1)
    assert "There is no study called 'nothing'" in done.stderr


def test_a_plan_shows_the_space_and_runs_nothing() -> None:
    done = harness("plan", "families")
    assert "learning_rate" in done.stdout
    assert "optimizer is adam" in done.stdout
    assert not Path(".harness").exists()
    assert json.loads(harness("plan", "quickstart", "--json").stdout)["rungs"] == [2, 6, 18]


def test_a_tracking_server_that_is_away_costs_nothing_but_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    done = harness("sweep", "--trials", "2", "--study", "away", *QUICK, code=4)
    assert "all 2 trials have ended" in done.stderr
    assert "harness sync away" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert harness("sync", "away", code=4).stderr.startswith("Error: MLflow could not be brought up to date")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for _ in range(2):
        harness("sync", "away")
    with sqlite3.connect("mlflow.db") as database:
        assert database.execute("select status, count(*) from runs group by status").fetchall() == [
            ("FINISHED", 3)
        ]
        metrics = database.execute(
            "select run_uuid, key, step, count(*) c from metrics group by 1, 2, 3"
        ).fetchall()
    assert metrics
    assert {row[3] for row in metrics} == {1}


def test_imbalance_is_pointed_out() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.array([0] * 90 + [1] * 12)
    np.savez("data.npz", x=rng.integers(0, 256, (102, 8, 8)).astype(np.uint8), y=labels)
    quick = ["--trials", "1", "--epochs", "1", "--set", "training.precision=float32"]
    done = harness("sweep", "--dataset", "data.npz", *quick)
    assert "The data set is imbalanced (0: " in done.stderr
    assert "val_f1_macro" in done.stderr
