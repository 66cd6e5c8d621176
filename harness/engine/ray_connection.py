"""The connection of this process to a Ray cluster, or to a Ray of its own on this machine.

Ray keeps one connection for a process. Engines share it; the last one closes what the first one opened.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.engine.kind import EngineSettings
from harness.errors import EngineError
from harness.machine import usable_cores

ENABLED = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""The environment variable without which Ray listens on the loopback interface alone."""
NICENESS = "RAY_worker_niceness"
"""The environment variable by which Ray decides how much its workers stand back for other processes: 15
unless it is set, at which a worker gets next to nothing of a core that somebody else uses as well."""
RETRIES = {
    "RAY_raylet_client_connect_timeout_milliseconds": "20",
    "RAY_raylet_client_num_connect_attempts": "500",
}
"""Milliseconds after which a Ray that starts asks its own object store again, and how often it asks. It asks
once too early, and would then wait for a second. Ten seconds in all, as without this."""
OBJECT_STORE_BYTES = 128 << 20
"""Of a Ray of our own: on one machine files are used where they are, so that little passes through it."""

ANSWER_SECONDS = 10.0
"""Within which a cluster must accept a connection; Ray itself would try for minutes."""

_users: list[object] = []
"""Engines that use a connection which this module has opened."""


def ray_module() -> Any:
    """Ray, which is imported on first use and tells nobody of its use.

    Raises:
        EngineError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Where a connection is lost, no call of Ray's functions starts a Ray on this machine instead.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    # What Ray prints of actors that are gone, in paragraphs and on standard output; the engine says it.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    # A worker that asks for no GPU sees none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise EngineError(
            "The Ray engine needs Ray, which is not installed: pip install 'harness[ray]'"
        ) from error
    return ray


def connect(user: object, settings: EngineSettings) -> None:
    """Connect to the cluster, unless this process is connected already.

    Args:
        user: who needs the connection, until it calls `disconnect`.
        settings: with the cluster's address; without one, a Ray is started on this machine.

    Raises:
        EngineError: there is no such cluster, or Ray cannot be started.
    """
    ray = ray_module()
    # The Ray Client has loggers of its own, one of which keeps its level whatever is asked.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.util.client.logsclient").disabled = True
    if ray.is_initialized():
        if _users:
            _users.append(user)
        return
    where = f"The Ray cluster at {settings.address}" if settings.address else "A Ray on this machine"
    if settings.address is not None:
        _check_answers(settings.address)
    try:
        with _own_signals(), contextlib.nullcontext() if settings.address else _on_loopback(ray):
            ray.init(**_arguments(settings))
    except Exception as error:
        if _asks_for_token(error):
            raise EngineError(
                f"{where} asks for a token. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a file with "
                "the cluster's token, unless it is in .ray/auth_token of your home folder already."
            ) from error
        said = str(error).strip()
        if "Traceback (most recent call last)" in said:  # of the Ray Client's server
            said = said.splitlines()[-1]
        raise EngineError(
            f"{where} cannot be reached or started ({' '.join(said.split())}). "
            "Check --ray-address, that RAY_AUTH_MODE=token is set if the cluster asks for a token, and that "
            "this machine and the cluster have the same versions of Ray and Python."
        ) from error
    _users.append(user)


def _check_answers(address: str) -> None:
    """Raises EngineError if nothing listens at the address, as HOST:PORT or ray://HOST:PORT."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # `auto`, or what Ray refuses itself
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"No Ray cluster answers at {address} ({getattr(error, 'strerror', None) or error}). Check "
            "--ray-address, and that the cluster runs: `ray status` on its head."
        ) from error


def _asks_for_token(error: BaseException | None) -> bool:
    """Whether a connection has failed for want of the cluster's token."""
    while error is not None:
        if type(error).__name__ == "AuthenticationError" or "InvalidAuthToken" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def disconnect(user: object) -> None:
    """Close the connection, and end a Ray of our own, if nobody else needs it."""
    if user in _users:
        _users.remove(user)
        if not _users:
            with _own_signals(), contextlib.suppress(Exception):  # whatever is gone need not be closed
                ray_module().shutdown()


def _arguments(settings: EngineSettings) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": "CRITICAL"}
    if settings.address is not None:
        return {"address": settings.address, **quiet}
    asked = settings.resources
    # As many side by side as were asked for, as with the local engine, unless each is to have several cores.
    cores = max(usable_cores(), math.ceil(min(1.0, asked.cpus) * settings.workers), math.ceil(asked.cpus))
    return {
        "address": "local",
        "num_cpus": cores,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        **quiet,
    }


@contextmanager
def _on_loopback(ray: Any) -> Iterator[None]:
    """What is started inside is reached from this machine alone, starts at once, and trains as others do."""
    for name, value in {NICENESS: "0", **RETRIES}.items():
        os.environ.setdefault(name, value)
    constants = ray._private.ray_constants
    kept, told = constants.ENABLE_RAY_CLUSTER, os.environ.get(ENABLED)
    constants.ENABLE_RAY_CLUSTER, os.environ[ENABLED] = False, "0"
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = kept
        os.environ.pop(ENABLED)
        if told is not None:
            os.environ[ENABLED] = told


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of signals, of which Ray replaces one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
