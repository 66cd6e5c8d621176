"""A sweep on a real PostgreSQL and a real MLflow server, both of which go away in the middle."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from harness.paths import StudyPaths
from tests.faults.support import Running, events, harness, proven, running, seen, tiny, until
from tests.mlflow_server import free_port, mlflow_server
from tests.postgres_server import PASSWORD, PostgresServer

TEXTS = (
    ("runs", "SELECT value FROM tags UNION ALL SELECT value FROM params"),
    ("runs", "SELECT value FROM experiment_tags UNION ALL SELECT name FROM experiments"),
    ("optuna", "SELECT value_json FROM trial_user_attributes"),
    ("optuna", "SELECT value_json FROM study_user_attributes"),
)
"""Databases, and what may have been written there in so many words."""


def struck_sweep(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, *, trials: int, away: float
) -> None:
    """Strike at a sweep, and prove that it has come to its end with nothing lost and no password told.

    Args:
        postgres: restarted once, in the middle.
        monkeypatch: sets where the stores are.
        trials: which must take longer than all that is done to it.
        away: for so many seconds the MLflow server is.
    """
    port, folder = free_port(), Path.cwd() / "server"
    storage, runs = postgres.fresh("optuna"), postgres.fresh("runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    command = ["sweep", tiny(), "--study", "s", "--trials", str(trials), "--epochs", "90"]
    with ExitStack() as server:
        server.enter_context(mlflow_server(port, folder, runs))
        with running(*command, "--storage", storage) as sweep:
            until(seen("s", "trial_ended"), sweep)
            _no_worker_is_told_the_password(sweep)
            monkeypatch.setenv("HARNESS_STORAGE", storage)
            _another_is_refused(sweep, command, monkeypatch)
            postgres.stop()
            _goes_on(sweep)
            postgres.start()
            server.close()
            _goes_on(sweep)
            time.sleep(away)
            assert sweep.process.poll() is None, f"it has ended before the server came back: {sweep.stderr}"
            server.enter_context(mlflow_server(port, folder, runs))
            assert sweep.wait(900) == 0, sweep.stderr
        proven("s", trials)
    assert PASSWORD not in sweep.stderr
    _no_store_or_file_is_told_the_password(postgres)


def _no_worker_is_told_the_password(sweep: Running) -> None:
    workers = psutil.Process(sweep.process.pid).children(recursive=True)
    assert workers
    assert not [one for one in workers if PASSWORD in " ".join(one.cmdline())]


def _another_is_refused(sweep: Running, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has another folder of studies, as it would have on another host."""
    elsewhere = Path.cwd() / "elsewhere"
    with monkeypatch.context() as patch:
        patch.setenv("HARNESS_HOME", str(elsewhere))
        said = harness(*command, code=1).stderr.strip()
    assert said.startswith(f"Error: The study s is being run by process {sweep.process.pid} on "), said
    assert said.count("\n") == 0
    assert PASSWORD not in said
    assert not [one for one in elsewhere.rglob("*") if one.is_file()], "nothing is left of it"
    assert sweep.process.poll() is None, f"the first had ended before the other was refused: {sweep.stderr}"


def _goes_on(sweep: Running) -> None:
    """Epochs end while a store is away."""

    def epochs() -> int:
        return sum(event["kind"] == "epoch_ended" for event in events("s"))

    before = epochs()
    until(lambda: epochs() > before + 10, sweep)
    assert sweep.process.poll() is None, sweep.stderr


def _no_store_or_file_is_told_the_password(postgres: PostgresServer) -> None:
    for database, statement in TEXTS:
        values = [str(value) for (value,) in postgres.run(statement, database)]
        assert values
        assert not [value for value in values if PASSWORD in value]
    files = [one for one in StudyPaths.of("s").folder.rglob("*") if one.is_file()]
    assert len(files) > 10
    assert not [one for one in files if PASSWORD.encode() in one.read_bytes()]
