"""MLflow and databases that are away, slow, locked or lie; and what is between a commit and the cursor."""

from __future__ import annotations

import contextlib
import http.client
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.paths import StudyPaths, tracking_uri
from harness.tracking.cursor import read_cursor
from tests.faults.support import LONG, events, harness, proven, running, seen, tiny, until
from tests.mlflow_server import free_port, mlflow_server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]


def epoch_gaps(study: str, after: float, before: float) -> list[float]:
    """Seconds between one epoch's end and the next, within a stretch of time (seconds since 1970)."""
    times = [event["time"] / 1000 for event in events(study) if event["kind"] == "epoch_ended"]
    inside = [one for one in times if after <= one <= before]
    return [later - earlier for earlier, later in pairwise(inside)]


def test_a_server_that_is_down_at_the_start_and_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    port, folder = free_port(), Path.cwd() / "server"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    trials = 60 if LONG else 28  # which take longer than two servers to start
    with running("sweep", tiny(), "--study", "s", "--trials", str(trials), "--epochs", "90") as sweep:
        until(seen("s", "segment_started"), sweep)
        with mlflow_server(port, folder):
            until(StudyPaths.of("s").tracking_cursor.exists, sweep)
        away = time.time()
        time.sleep(20 if LONG else 6)
        back = time.time()
        with mlflow_server(port, folder):
            assert sweep.wait() == 0, sweep.stderr
            proven("s", trials)
    gaps = epoch_gaps("s", away, back)
    assert gaps, "nothing was trained while the server was away"
    print(f"longest wait for an epoch while the server was away: {max(gaps):.2f} s")
    assert max(gaps) < 1


def test_a_server_that_is_down_for_the_whole_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    port, folder = free_port(), Path.cwd() / "server"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    done = harness("sweep", tiny(), "--study", "s", "--trials", "4", code=4)
    assert "harness sync s" in done.stderr
    with mlflow_server(port, folder):
        harness("sync", "s")
        proven("s", 4)


class FaultyProxy(ThreadingHTTPServer):
    """Passes requests on to a server, but every so often fails, lets wait, or cuts the connection."""

    def __init__(self, target: int, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Faulty)
        self.target, self.random, self.faults = target, random.Random(seed), 0
        self.lock = threading.Lock()


class _Faulty(BaseHTTPRequestHandler):
    server: FaultyProxy

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # whoever asked is gone
            super().handle()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            fault = self.server.random.choice(["500", "late", "cut", "lost", *[""] * 12])
            self.server.faults += bool(fault)
        if fault == "500":
            self.send_error(500)
            return
        if fault == "cut":
            self.close_connection = True
            return
        if fault == "late":
            time.sleep(4)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=30)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "lost":  # it has happened, but nobody is told
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - the library's names


def test_a_proxy_that_fails_delays_and_loses_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    with mlflow_server(port, Path.cwd() / "server"):
        proxy = FaultyProxy(port, seed=1)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{proxy.server_port}")
        done = harness("sweep", tiny(), "--study", "s", "--trials", "6", code=None)
        assert done.returncode in (0, 4), done.stderr
        proxy.shutdown()
        proxy.server_close()
        assert proxy.faults > 10
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        harness("sync", "s")
        proven("s", 6)


def dump(database: str) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


def test_an_empty_server_is_filled_by_sync_and_a_second_sync_writes_nothing() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "4")
    proven("s", 4)
    for leftover in (*Path().glob("mlflow.db*"), *Path(".harness").glob("optuna.db*")):
        leftover.unlink()
    harness("sync", "s")
    proven("s", 4)
    before = dump("mlflow.db"), dump(".harness/optuna.db")
    harness("sync", "s")
    assert (dump("mlflow.db"), dump(".harness/optuna.db")) == before


CUT_AT_CURSOR = """
import os
import harness.tracking.mlflow_tracker as tracker
real, calls = tracker.write_text, []
def cut(*arguments):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), 9)
    real(*arguments)
tracker.write_text = cut
"""


def test_killed_between_mlflows_commit_and_the_cursors_write() -> None:
    with running("sweep", tiny(), "--study", "s", "--trials", "10", script=CUT_AT_CURSOR) as sweep:
        assert sweep.wait() == -signal.SIGKILL
    harness("resume", "s")
    proven("s", 10)


def test_databases_that_another_process_locks() -> None:
    seconds = 15
    locker = (
        "import sqlite3, sys, time\n"
        "held = [sqlite3.connect(file, isolation_level=None) for file in sys.argv[2:]]\n"
        "for one in held: one.execute('PRAGMA busy_timeout=20000'); one.execute('BEGIN IMMEDIATE')\n"
        "time.sleep(float(sys.argv[1]))\n"
    )
    with running("sweep", tiny(), "--study", "s", "--trials", "12") as sweep:
        until(lambda: Path("mlflow.db").exists() and seen("s", "trial_ended", trial=1)(), sweep)
        lock = subprocess.Popen(
            [sys.executable, "-c", locker, str(seconds), "mlflow.db", ".harness/optuna.db"]
        )
        assert sweep.wait() == 0, sweep.stderr
        lock.wait()
    proven("s", 12)


def test_an_optuna_storage_that_can_be_opened_only_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a database server that is still starting when the sweep begins."""
    monkeypatch.setenv("HARNESS_STORAGE", f"sqlite:///{Path.cwd()}/optuna.db")
    Path("optuna.db").write_text("not a database, for now")
    with running("sweep", tiny(), "--study", "s", "--trials", "6", "--epochs", "60") as sweep:
        until(seen("s", "trial_ended"), sweep)
        assert "Optuna's storage cannot be used" in sweep.stderr
        Path("optuna.db").unlink()
        assert sweep.wait() == 0, sweep.stderr
    assert sweep.stderr.count("the file is not a database") == 1
    proven("s", 6)


def in_mlflow(trial: str | None) -> tuple[MlflowClient, str]:
    """The run of a trial (None: of the study), as somebody finds it in MLflow."""
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return client, next(run.info.run_id for run in runs if run.data.tags.get("harness.trial") == trial)


def test_runs_that_somebody_deletes_under_a_running_sweep() -> None:
    """It goes on and ends well; what was deleted is named, once, and can be restored."""
    with running("sweep", tiny(), "--study", "s", "--trials", "10", "--epochs", "40", "-w", "1") as sweep:
        until(seen("s", "trial_started", trial=2), sweep)
        until(lambda: read_cursor(StudyPaths.of("s").tracking_cursor).seq > 20, sweep)
        for trial in ("0", "2", None):
            client, run = until(lambda trial=trial: _found(trial), sweep)
            client.delete_run(run)
        assert sweep.wait() == 0, sweep.stderr
    assert sweep.stderr.count("the study's own run had been deleted") == 1
    assert "trials 0 and 2 were deleted there and are left out" in sweep.stderr
    assert "behind" not in sweep.stderr
    checked = harness("verify", "s")
    assert checked.stdout.count("was deleted in MLflow") == 2
    assert "leaves" not in harness("sync", "s", "--restore").stderr
    proven("s", 10)


def _found(trial: str | None) -> tuple[MlflowClient, str] | None:
    try:
        return in_mlflow(trial)
    except StopIteration:
        return None


def test_an_experiment_in_the_bin_is_told_before_training_and_restored() -> None:
    harness("sweep", tiny(), "--study", "one", "--trials", "1")
    client, run = in_mlflow(None)
    own = client.get_run(run).info.experiment_id
    client.delete_experiment(own)
    for arguments in (["sweep", "tiny.yaml", "--study", "two"], ["resume", "one", "--trials", "2"]):
        refused = harness(*arguments, code=1)
        assert f"mlflow experiments restore --experiment-id {own}" in refused.stderr
        assert "trial " not in refused.stderr
    assert not StudyPaths.of("two").folder.exists()
    assert "`harness sync one --restore`" in refused.stderr
    harness("sync", "one", "--restore")
    proven("one", 1)
    harness("sweep", "tiny.yaml", "--study", "two", "--trials", "1")
    proven("two", 1)


def test_folders_with_characters_that_mean_something_in_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path.cwd() / "50%25 {off}? #1 [Größe]"
    folder.mkdir()
    monkeypatch.chdir(folder)
    harness("sweep", tiny(), "--study", "s", "--trials", "2", "--epochs", "1")
    assert "NOT OK" not in harness("verify", "s").stdout
    assert Path("mlflow.db").exists()
    assert Path(".harness/optuna.db").exists()
    assert Path("mlruns").is_dir()
    assert [entry.name for entry in folder.parent.iterdir() if entry.is_dir()] == [folder.name]


def test_a_database_that_is_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    harness("sweep", tiny(), "--study", "first", "--trials", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///file:{Path.cwd()}/mlflow.db?mode=ro&uri=true")
    done = harness("sweep", tiny(), "--study", "s", "--trials", "2", code=4)
    assert "harness sync s" in done.stderr
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    harness("sync", "s")
    proven("s", 2)
