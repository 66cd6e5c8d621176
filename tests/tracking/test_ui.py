"""MLflow's server ends with the command that started it, however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import keep_tables

pytestmark = pytest.mark.slow

UI = [sys.executable, "-P", "-m", "harness", "ui", "--port"]
SECONDS = 15.0
LONG = os.environ.get("HARNESS_FAULTS") == "long"


@pytest.fixture(autouse=True)
def tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def ui(
    port: int, *, hang_up_ignored: bool = False
) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """The command, once pages can be opened, and the processes that it has started."""
    # What this process ignores, the one that it starts does, too.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if hang_up_ignored else signal.SIG_DFL)
    process = subprocess.Popen([*UI, str(port)], stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGHUP, before)
    started: list[psutil.Process] = []
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"http://127.0.0.1:{port}\n"
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) > 1
        yield process, started
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        _, alive = psutil.wait_procs(started, timeout=SECONDS)
        for one in alive:
            one.kill()
    assert not alive, "something was left behind"


def ended(port: int, started: list[psutil.Process]) -> None:
    """All is gone within seconds, and the port can be used again."""
    deadline = time.monotonic() + SECONDS
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(port)
    assert not psutil.wait_procs(started, timeout=SECONDS)[1]


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGHUP, *([signal.SIGTERM, signal.SIGINT] if LONG else [])]
)
def test_no_server_outlives_its_parent(number: signal.Signals) -> None:
    port = free_port()
    Path("numpy.py").write_text("raise SystemExit('a file of the folder was run')")
    with ui(port) as (process, started):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            assert answer.read() == b"OK"
        os.kill(process.pid, number)
        ended(port, started)
        assert process.wait(SECONDS) == (-signal.SIGKILL if number == signal.SIGKILL else 0)


@pytest.mark.skipif(not LONG, reason="starting a server takes seconds; `make test-faults-long` does")
def test_under_nohup_a_hang_up_ends_nothing() -> None:
    port = free_port()
    with ui(port, hang_up_ignored=True) as (process, started):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert listens(port)
        process.terminate()
        ended(port, started)


def said(**environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*UI, str(free_port())],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    return done.returncode, done.stderr + done.stdout


def test_a_store_that_cannot_be_shown_is_told_and_no_server_is_started() -> None:
    assert said(MLFLOW_TRACKING_URI="foo://ann:s3cret@x")[0] == 1
    assert said(MLFLOW_TRACKING_URI="file:runs")[0] == 1
    code, text = said(MLFLOW_TRACKING_URI="http://ann:s3cret@127.0.0.1:9")
    assert code == 4
    assert "the connection is refused" in text
