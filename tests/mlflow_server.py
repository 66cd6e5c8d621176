"""A real MLflow server."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store

PATIENCE = 300
"""Seconds that a server may take to start."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mlflow_server(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real MLflow server that keeps its state in `folder`."""
    folder.mkdir(exist_ok=True)
    ensure_store(f"sqlite:///{folder}/mlflow.db", create_mlflow_tables)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"), "--workers", "1",
    ]  # fmt: skip
    with answering(command, port, "/health", folder / "server.log") as server:
        yield server


@contextmanager
def answering(
    command: list[str], port: int, path: str, log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is waited for until it answers a path with status 200; killed with its children."""
    with log.open("ab") as said:
        server = subprocess.Popen(
            command, stdout=said, stderr=said, start_new_session=True, env=os.environ | environment
        )
        try:
            _wait(lambda: _answers(port, path), server, log)
            yield server
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(there: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
