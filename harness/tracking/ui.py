"""MLflow's own server on the store that sweeps here write to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from harness.errors import HarnessError, UnreachableError
from harness.tracking import ends_with_parent
from harness.tracking.redaction import without_secrets
from harness.tracking.store_errors import explain
from harness.tracking.stores import MLFLOW

START_SECONDS = 90.0
LINES = 50
"""How many of the server's last lines are kept, to say why it ended."""


def serve_ui(uri: str, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted or told to end; `ready(address)` is called when pages can be opened.

    Raises:
        StoreError: MLflow cannot use the store as it is set up.
        UnreachableError: the store is away, or the server does not come up.
        HarnessError: the port is taken.
    """
    try:
        _check_store(uri)
    except Exception as error:
        raise explain(error, MLFLOW) from error
    if uri.startswith(("http://", "https://")):
        ready(_without_user(uri))  # the store is a server already
        return
    _check_port(host, port)
    address = f"http://{host}:{port}"
    with _ended_by_signals(), _server(uri, host, port, address) as (process, said):
        _wait_until_up(process, address, said)
        ready(address)
        process.wait()
        raise UnreachableError(f"MLflow's server has ended: {_last(said)}")


def _check_store(uri: str) -> None:
    """Raise what keeps MLflow from using the store; the server would only say so in a traceback."""
    from harness.tracking.mlflow_client import connect

    connect(uri).search_experiments(max_results=1)


def _without_user(uri: str) -> str:
    """The address as a browser takes it, without user name, password and query."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise HarnessError(
                f"The address {host}:{port} cannot be used: {error.strerror}. "
                "Choose another port with --port."
            ) from error


class _Stopped(BaseException):
    """A signal asks the server to end."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end what is within, quietly; under nohup the last does not."""

    def stop(_: int, __: FrameType | None) -> None:
        raise _Stopped

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    except (KeyboardInterrupt, _Stopped):
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _server(
    uri: str, host: str, port: int, address: str
) -> Iterator[tuple[subprocess.Popen[str], deque[str]]]:
    """The server's process, and the last lines that it says; at the end nothing is left of it."""
    process = subprocess.Popen(
        [
            sys.executable, "-I", str(Path(ends_with_parent.__file__)),
            sys.executable, "-P", "-m", "mlflow", "server",
            "--default-artifact-root", "./mlruns",
            "--host", host,
            "--port", str(port),
            "--workers", "1",
            # Else uvicorn imports from the working directory first, whatever lies there.
            "--uvicorn-opts", f"--app-dir {os.devnull}",
            # The default patterns also match names such as 10.example.com.
            "--allowed-hosts", f"{host}:{port},localhost:{port}",
            "--cors-allowed-origins", f"{address},http://localhost:{port}",
        ],
        env=os.environ
        | {
            # Not an argument: anybody may list those, and it may hold a password.
            "MLFLOW_BACKEND_STORE_URI": uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            "PYTHONSAFEPATH": "1",  # for the process that MLflow itself starts
        },
        stdin=subprocess.PIPE,  # held open for as long as this process lives
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )  # fmt: skip
    said: deque[str] = deque(maxlen=LINES)
    listener = threading.Thread(target=_listen, args=(process, said), daemon=True)
    listener.start()
    try:
        yield process, said
    finally:
        _end(process)
        listener.join(1)
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                stream.close()


def _listen(process: subprocess.Popen[str], said: deque[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip():
            said.append(line.strip())


def _last(said: deque[str]) -> str:
    return without_secrets(said[-1]) if said else "it printed nothing"


def _wait_until_up(process: subprocess.Popen[str], address: str, said: deque[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            time.sleep(0.2)  # until its last words are heard
            raise UnreachableError(f"MLflow's server ended at once: {_last(said)}")
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
