"""A real MLflow server in a process group of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store
from tests.faults.support import until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mlflow_server(port: int, folder: Path, backend: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A server that keeps its files in `folder`, and its runs in an SQLite file there or in `backend`."""
    folder.mkdir(exist_ok=True)
    if backend is None:
        backend = f"sqlite:///{folder}/mlflow.db"
        ensure_store(backend, create_mlflow_tables)
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
                "--artifacts-destination", str(folder / "artifacts"), "--workers", "1",
            ],
            # Not an argument: it may hold a password.
            env=os.environ | {"MLFLOW_BACKEND_STORE_URI": backend},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            until(lambda: answers(port), timeout=300)
            yield server
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
