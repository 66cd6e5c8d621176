"""Folds by the commands a user types: killed and gone on with, in all stores, exported and tested."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import optuna
import pytest

from harness.analysis.compared import values_by_trial
from harness.paths import StudyPaths
from harness.study.opening import open_study
from tests.e2e.test_sweep import harness, mlflow_here

pytestmark = pytest.mark.slow

FOLDS, EPOCHS = 3, 2
ARGUMENTS = [
    "--trials", "4", "--workers", "1", "--study", "folded", "--epochs", str(EPOCHS),
    "--set", f"dataset.folds={FOLDS}", "--set", "dataset.limit_train=120",
    "--set", "training.precision=float32", "--set", "space.depth=1", "--set", "space.width=8",
]  # fmt: skip


def killed_within_a_fold() -> None:
    """Begin the sweep, and kill it in the middle of a trial's second fold."""
    command = [sys.executable, "-m", "harness", "sweep", *ARGUMENTS]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    log = Path(".harness/studies/folded/events.jsonl")
    until = time.monotonic() + 300
    while time.monotonic() < until and running.poll() is None:
        if log.exists() and f'"epoch": {EPOCHS + 1}, ' in log.read_text(encoding="utf-8"):
            break
        time.sleep(0.02)
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    assert running.stderr is not None
    running.stderr.close()
    running.wait()


def test_folds_are_killed_resumed_verified_exported_and_tested() -> None:
    killed_within_a_fold()
    done = harness("sweep", *ARGUMENTS)
    assert f"120 in {FOLDS} folds" in done.stderr
    assert "scheduler.min_epochs, scheduler.reduction: no effect with dataset.folds" in done.stderr
    harness("verify", "folded")

    board = json.loads(harness("leaderboard", "folded", "--json").stdout)
    assert len(board) == 4
    winner = board[0]
    assert winner["state"] == "complete"
    assert winner["folds"] == FOLDS
    assert winner["score"] == max(row["score"] for row in board if row["folds"] == FOLDS)
    _, state = open_study("folded")
    trial = state.trials[winner["trial"]]
    ends = [trial.epochs[(fold + 1) * EPOCHS] for fold in range(FOLDS)]
    assert winner["score"] == pytest.approx(fmean(one["val_accuracy"] for one in ends))
    assert sorted(trial.epochs) == list(range(1, (FOLDS + 1) * EPOCHS + 1))
    together = trial.shown_evaluations[0]
    assert sum(map(sum, together.confusion)) == state.started.dataset.counts["train"]
    assert set(trial.fold_predictions) == set(range(FOLDS))
    assert "luck" in done.stderr
    whole = [one for one in state.trials.values() if one.all_folds]
    judged = values_by_trial(StudyPaths.of("folded").folder, state, whole)
    assert {number: values.mean() for number, values in judged.items()} == pytest.approx(
        {one.number: one.score for one in whole}
    )
    shown = harness("show", str(trial.number), "--study", "folded").stdout
    assert f"mean of {FOLDS} folds, standard error" in shown

    client = mlflow_here()
    (experiment,) = client.search_experiments(filter_string="name = 'quickstart'")
    run = next(
        one
        for one in client.search_runs([experiment.experiment_id])
        if one.data.tags.get("harness.trial") == str(trial.number)
    )
    assert run.data.metrics["score"] == pytest.approx(winner["score"])
    assert run.data.metrics["score_standard_error"] == pytest.approx(winner["standard_error"])
    history = client.get_metric_history(run.info.run_id, "val_accuracy")
    assert sorted(point.step for point in history) == list(range(1, FOLDS * EPOCHS + 1))

    storage = f"sqlite:///{Path('.harness/optuna.db').absolute()}"
    stored = optuna.load_study(study_name="folded", storage=storage).trials
    own = next(one for one in stored if one.user_attrs["trial"] == trial.number)
    assert own.intermediate_values[FOLDS * EPOCHS] == pytest.approx(winner["score"])
    assert own.intermediate_values[EPOCHS] == pytest.approx(ends[0]["val_accuracy"])

    again = harness("reproduce", str(trial.number), "--study", "folded").stdout
    assert "identical, to the last bit" in again
    assert "same class on" in harness("export", "folded", "--formats", "saved_model").stderr
    found = json.loads(harness("confirm", "folded", "--as-is", "--json").stdout)
    assert sum(map(sum, found["test"]["confusion"])) == state.started.dataset.counts["test"]

    harness("confirm", "folded", "--top", "1", "--seeds", "2")
    harness("verify", "folded.confirm")
    _, confirmed = open_study("folded.confirm")
    for one in confirmed.trials.values():
        assert one.state == "complete"
        assert one.all_folds
        assert one.model is not None
