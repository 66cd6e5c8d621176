"""MLflow's own server on the store that sweeps here write to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from harness.errors import HarnessError, UnreachableError
from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store

START_SECONDS = 90.0


def serve_ui(uri: str, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready(address)` is called when pages can be opened.

    Raises:
        UnreachableError: the server does not come up.
        HarnessError: the port is taken.
    """
    if uri.startswith(("http://", "https://")):
        ready(uri)  # the store is a server already
        return
    ensure_store(uri, create_mlflow_tables)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise HarnessError(
                f"The address {host}:{port} cannot be used: {error.strerror}. "
                "Choose another port with --port."
            ) from error
    address = f"http://{host}:{port}"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server",
            "--backend-store-uri", uri,
            "--default-artifact-root", "./mlruns",
            "--host", host,
            "--port", str(port),
            "--workers", "1",
            # The default patterns also match names such as 10.example.com.
            "--allowed-hosts", f"{host}:{port},localhost:{port}",
            "--cors-allowed-origins", f"{address},http://localhost:{port}",
        ],
        env=os.environ
        | {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        _wait_until_up(process, address)
        ready(address)
        process.communicate()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, previous)
        _end(process)


def _wait_until_up(process: subprocess.Popen[str], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stderr.read() if process.stderr else ""
            last = (said.strip().splitlines() or ["it printed nothing"])[-1]
            raise UnreachableError(f"MLflow's server ended at once: {last}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise UnreachableError(f"MLflow's server did not answer at {address} within {START_SECONDS:.0f} s.")


def _end(process: subprocess.Popen[str]) -> None:
    """The server starts processes of its own: end the whole group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
