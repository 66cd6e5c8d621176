"""The main job by the commands a user types, with real training, a real MLflow store and real exports."""

from __future__ import annotations

import json
import math
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

QUICK = [
    "--epochs", "3", "--set", "dataset.limit_train=300", "--set", "scheduler.min_epochs=1",
    "--set", "training.precision=float32",
]  # fmt: skip
ENDLESS = """
name: endless
dataset: {source: digits}
training: {epochs: 100000, precision: float32}
scheduler: {kind: none}
search: {sampler: random, workers: 1}
space:
  depth: 1
  width: 8
  dropout: {type: float, low: 0.0, high: 0.3}
  optimizer: adam
  learning_rate: 0.03
  schedule: constant
  batch_size: 16
  patience: 1
"""
GUARDED = (
    "import sys\n"
    "from harness.cli import main\n"
    "try:\n"
    "    main()\n"
    "finally:\n"
    "    assert 'tensorflow' not in sys.modules, 'the coordinator loaded TensorFlow'\n"
)


def harness(*arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            GUARDED if arguments[0] in ("sweep", "confirm") else "from harness.cli import main; main()",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert code is None or done.returncode == code, done.stderr
    return done


def mlflow_here() -> MlflowClient:
    """By absolute path: MLflow keeps stores by their address, and every test has a folder of its own."""
    return MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def statuses() -> dict[str, int]:
    with sqlite3.connect("mlflow.db") as database:
        return dict(database.execute("select status, count(*) from runs group by status").fetchall())


def test_a_sweep_from_start_to_a_model_that_serves() -> None:
    done = harness("sweep", "--trials", "6", "--study", "mine", *QUICK)
    assert done.stdout == ""
    assert "mine: all 6 trials have ended" in done.stderr
    assert statuses() == {"FINISHED": 7}

    board = json.loads(harness("leaderboard", "--json").stdout)
    assert len(board) == 6
    winner = board[0]
    assert winner["state"] == "complete"
    assert winner["score"] == max(row["score"] for row in board if row["state"] == "complete")
    assert harness("leaderboard", "mine", "--csv", "--top", "2").stdout.count("\n") == 3
    status = json.loads(harness("status", "--json").stdout)
    assert status["complete"]
    assert status["best_trial"] == winner["trial"]
    shown = json.loads(harness("show", str(winner["trial"]), "--json").stdout)
    assert shown["epochs"]["3"]["val_accuracy"] == winner["score"]
    assert shown["ended"] > shown["started"] > 0
    assert shown["over"] is True
    assert shown["generation"] == 1
    assert np.sum(shown["evaluations"][0]["confusion"]) > 0

    stored = optuna.load_study(study_name="mine", storage="sqlite:///.harness/optuna.db")
    assert len(stored.trials) == 6
    assert stored.best_value == winner["score"]
    assert not [trial for trial in stored.trials if not trial.state.is_finished()]

    assert harness("verify").stdout.count("  ok  ") == 7

    exported = harness("export", "--out", "bundle", "--zip")
    folder = Path(exported.stdout.strip())
    assert exported.stderr.count(" 60 of 60 ") >= 4, "a table with what each format comes to"
    assert "model_int8.tflite" in exported.stderr
    assert Path("bundle.zip").is_file()
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    assert metadata["provenance"]["trial"] == winner["trial"]

    client = mlflow_here()
    experiment = client.get_experiment_by_name("quickstart")
    assert experiment is not None
    ids = [experiment.experiment_id]
    models = client.search_logged_models(ids)
    assert len(models) == sum(row["state"] == "complete" for row in board)
    run = client.search_runs(ids, f"tags.`harness.trial` = '{winner['trial']}'")[0]
    assert run.data.metrics["score"] == winner["score"]
    assert len(client.get_metric_history(run.info.run_id, "val_f1_macro")) == 3
    model = next(model for model in models if model.source_run_id == run.info.run_id)

    np.save("images.npy", np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1)).astype(np.float32))
    script = (
        "import sys, keras, numpy as np\n"
        "images = np.load('images.npy')\n"
        "found = [keras.saving.load_model(path)(images).numpy() for path in sys.argv[1:]]\n"
        "assert 'harness' not in sys.modules\n"
        "np.testing.assert_allclose(found[0], found[1], atol=1e-6)\n"
    )
    artifacts = model.artifact_location.removeprefix("file://")
    subprocess.run(
        [sys.executable, "-c", script, f"{artifacts}/data/model.keras", "bundle/model.keras"], check=True
    )
    again = harness("export", "--run", run.info.run_id, "--out", "again", "--formats", "keras")
    assert Path(again.stdout.strip()) == Path("again")


def test_the_same_seed_gives_the_same_numbers() -> None:
    """To the last bit, in one worker where the order of results is the same."""
    boards = []
    for name in ("one", "two"):
        harness("sweep", "--trials", "4", "--study", name, "--workers", "1", *QUICK)
        board = json.loads(harness("leaderboard", name, "--json").stdout)
        boards.append([{key: value for key, value in row.items() if key != "seconds"} for row in board])
    assert boards[0] == boards[1]


def test_an_interrupted_sweep_says_how_to_go_on_and_ends_with_exactly_its_trials() -> None:
    command = [sys.executable, "-m", "harness", "sweep", "--trials", "8", "--study", "cut", *QUICK]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("trial "):
                break
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
    assert running.returncode == 130
    assert "harness resume cut" in rest
    assert "RUNNING" not in statuses()
    harness("resume", "cut")
    status = json.loads(harness("status", "cut", "--json").stdout)
    assert status["complete"]
    assert sum(status["states"].values()) == 8
    assert status["sessions"] == 2
    assert statuses() == {"FINISHED": 9}
    more = harness("sweep", "--trials", "8", "--study", "cut", *QUICK)
    assert "all 8 trials have ended" in more.stderr
    assert len(json.loads(harness("leaderboard", "cut", "--json").stdout)) == 8
    harness("verify", "cut")


def test_a_time_limit_reached_in_training_ends_a_sweep_that_can_be_resumed() -> None:
    """In order nothing is refused for taking too long, so only the limit itself can end it."""
    limit, begun = 8, 0
    command = ["sweep", "--trials", "500", "--study", "timed", "--workers", "1", "--ordered", *QUICK]
    while begun == 0:  # a busy machine may take all of a first limit to start
        assert limit <= 512, "no limit was long enough to begin a trial"
        done = harness(*command, "--timeout", str(limit), code=None)
        assert f"the time limit of {limit} s was reached" in done.stderr
        if done.returncode != 0:  # nor are trackers waited for by then
            assert done.returncode == 4, done.stderr
            assert "it is too slow. Finish it with: harness sync timed" in done.stderr
            harness("sync", "timed")
        assert f"harness resume timed --timeout {2 * limit}" in done.stderr
        status = json.loads(harness("status", "timed", "--json").stdout)
        assert not status["complete"]
        assert "RUNNING" not in statuses()
        begun, limit, command = sum(status["states"].values()), 2 * limit, ["resume", "timed"]
    assert begun < 500
    assert_ends_with("timed", begun + 1)


def test_a_time_limit_into_which_nothing_more_fits_ends_a_sweep_that_can_be_resumed() -> None:
    """Trials that stop early, of so many epochs that another one to its end fits into no such limit."""
    Path("endless.yaml").write_text(ENDLESS, encoding="utf-8")
    harness("sweep", "endless.yaml", "--trials", "1", "--study", "full")
    limit = math.ceil(json.loads(harness("status", "full", "--json").stdout)["elapsed"]) + 600
    done = harness("resume", "full", "--trials", "3", "--timeout", str(limit))
    assert re.search(
        r"nothing more can be trained to its end in the \d+ s that are left of the time limit", done.stderr
    )
    assert "was reached" not in done.stderr
    assert f"harness resume full --timeout {2 * limit}" in done.stderr
    status = json.loads(harness("status", "full", "--json").stdout)
    assert not status["complete"]
    assert status["states"] == {"complete": 1}
    assert statuses() == {"FINISHED": 1, "KILLED": 1}
    assert_ends_with("full", 3)


def assert_ends_with(study: str, trials: int) -> None:
    """Resumed without a time limit, the study ends with exactly so many trials."""
    done = harness("resume", study, "--trials", str(trials), "--timeout", "none")
    assert f"{study}: all {trials} trials have ended" in done.stderr
    status = json.loads(harness("status", study, "--json").stdout)
    assert status["complete"]
    assert sum(status["states"].values()) == trials
    assert statuses() == {"FINISHED": trials + 1}


def test_a_resumed_study_keeps_its_limits_until_it_is_told_otherwise() -> None:
    harness("sweep", "--trials", "6", "--max-epochs-total", "4", "--study", "s", "--workers", "1", *QUICK)

    def epochs() -> int:
        return int(json.loads(harness("status", "s", "--json").stdout)["epochs"])

    used = epochs()
    log = Path(".harness/studies/s/events.jsonl").read_bytes()
    auto = ["--set", "training.precision=auto"]  # which takes what the study began with
    for again in (
        ["resume", "s"],
        ["sweep", "--study", "s", *QUICK],
        ["sweep", "--study", "s", *QUICK, *auto],
    ):
        done = harness(*again)
        assert f"limits  epochs 4 ({used} used)" in done.stderr
        assert "the budget of 4 epochs is used up" in done.stderr
        assert "harness resume s --max-epochs-total 8" in done.stderr
    assert Path(".harness/studies/s/events.jsonl").read_bytes() == log
    assert json.loads(harness("status", "s", "--json").stdout)["next"] == (
        "harness resume s --max-epochs-total 8"
    )
    harness("resume", "s", "--max-epochs-total", "8", "--workers", "1")
    assert 8 <= epochs() < 12
    done = harness("resume", "s", "--max-epochs-total", "none", "--target", "0.1")
    assert "reached the target of 0.1" in done.stderr
    done = harness("resume", "s", "--target", "none")
    assert "all 6 trials have ended" in done.stderr
    assert "limits" not in done.stderr


def test_a_training_that_fails_is_no_success() -> None:
    done = harness(
        "train", "quickstart", "--epochs", "2", "--set", "space.optimizer=momentum", "--set",
        "space.learning_rate=10", "--set", "space.schedule=constant", "--set", "space.depth=4", "--set",
        "space.batch_norm=false", code=3,
    )  # fmt: skip
    assert done.stdout == ""
    assert "failed: The training loss was nan after epoch 1." in done.stderr


def test_a_study_that_never_began_is_told_as_such_by_every_command() -> None:
    folder = Path(".harness/studies/early")
    folder.mkdir(parents=True)
    (folder / "events.jsonl").touch()
    for command in ("status", "leaderboard", "resume", "report", "sync", "verify"):
        done = harness(command, "early", code=1)
        assert "never began" in done.stderr
        assert "harness sweep --study early" in done.stderr
        assert "Traceback" not in done.stderr
    assert "never began" in harness("export", "--study", "early", code=1).stderr
    harness("sweep", "--trials", "1", "--study", "early", *QUICK)
    assert json.loads(harness("status", "early", "--json").stdout)["complete"]


def test_another_experiment_does_not_go_on_in_the_same_study() -> None:
    harness("sweep", "--trials", "1", "--study", "fixed", *QUICK)
    done = harness("sweep", "--trials", "2", "--study", "fixed", code=2)
    assert "dataset.limit_train was 300, not null, training.epochs was 3, not 18" in done.stderr
    assert "training.precision" not in done.stderr
    assert "harness resume fixed" in done.stderr


def test_one_configuration_is_trained_and_then_tested() -> None:
    quick = ["--epochs", "2", "--set", "training.precision=float32"]
    done = harness("train", "baseline", "--dataset", "digits", *quick, "--study", "one", "--json")
    assert json.loads(done.stdout) == {}  # all images are trained on
    assert "test set sealed: never opened" in done.stderr
    assert "harness confirm one --as-is" in done.stderr
    assert "harness confirm one --as-is" in harness("confirm", "one", code=1).stderr
    found = json.loads(harness("confirm", "one", "--as-is", "--json").stdout)
    assert found["test_openings"] == 1
    assert 0.5 < found["test"]["metrics"]["accuracy"] <= 1
    assert len(found["test"]["per_class"]) == 10
    log = Path(".harness/studies/one/events.jsonl").read_bytes()
    again = harness("confirm", "one", "0", "--as-is")
    assert f"test: accuracy {found['test']['metrics']['accuracy']:.4f}" in again.stdout
    assert "test set opened once (trial 0)" in again.stdout
    assert Path(".harness/studies/one/events.jsonl").read_bytes() == log
    run = mlflow_here().search_runs(
        [mlflow_here().get_experiment_by_name("baseline").experiment_id],  # type: ignore[union-attr]
        "tags.`harness.trial` = '0'",
    )[0]
    assert run.data.metrics["test_recall_macro"] == found["test"]["metrics"]["recall_macro"]
    assert run.data.tags["harness.test_openings"] == "1"
    shown = json.loads(harness("show", "0", "--study", "one", "--json").stdout)
    assert shown["evaluations"] == [found["test"]]
    assert json.loads(harness("status", "one", "--json").stdout)["test_openings"] == 1
    assert (
        json.loads(harness("leaderboard", "one", "--json").stdout)[0]["test_accuracy"]
        == (found["test"]["metrics"]["accuracy"])
    )
    assert "opened once (trial 0)" in harness("verify", "one").stdout


def test_workers_end_with_their_coordinator() -> None:
    command = [sys.executable, "-m", "harness", "sweep", "--trials", "6", "--study", "killed", *QUICK]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("trial "):
            break
    running.kill()
    running.wait()
    running.stderr.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and workers_of(running.pid):
        time.sleep(0.1)
    assert not workers_of(running.pid)
    found = harness("verify", "killed", code=1)
    assert "the last session was cut off" in found.stdout
    done = harness("resume", "killed", "--trials", "6")
    assert "all 6 trials have ended" in done.stderr
    harness("verify", "killed")


def test_verify_notices_what_does_not_agree() -> None:
    """One contradiction of each kind, in a study that was whole."""
    harness("sweep", "--trials", "2", "--study", "whole", *QUICK)
    harness("verify", "whole")
    client = mlflow_here()
    experiment = client.get_experiment_by_name("quickstart")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id], "tags.`harness.trial` = '0'")[0].info.run_id
    client.log_metric(run, "val_accuracy", 0.5, step=1)
    client.update_run(run, status="RUNNING")
    model = next(Path(".harness/studies/whole/trials").rglob("model.keras"))
    model.write_bytes(model.read_bytes()[:-1])
    with sqlite3.connect(".harness/optuna.db") as database:
        database.execute("update trials set state = 'RUNNING' where number = 1")
    checks = {
        check["name"]: check["problems"]
        for check in json.loads(harness("verify", "whole", "--json", code=1).stdout)
    }
    assert checks["V1"] == []
    assert "MLflow has too much: val_accuracy@1=0.5" in checks["V2"][0]
    assert "its SHA-256 differs" in checks["V3"][-1]
    assert any("is RUNNING" in problem for problem in checks["V4"])
    assert any("trial 1 is" in problem for problem in checks["V5"])


def workers_of(_: int) -> list[str]:
    here = str(Path.cwd())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"harness.engine.worker" in (entry / "cmdline").read_bytes()
                and str((entry / "cwd").readlink()) == here
            ):
                found.append(entry.name)
        except OSError:
            continue
    return found
