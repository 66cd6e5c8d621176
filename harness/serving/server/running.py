"""A server from its start to its end: the address, the model, the threads, the signals."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.errors import ServingError, UsageError
from harness.machine import usable_cores
from harness.messages import and_list, shown
from harness.serving.server.limits import Limits

if TYPE_CHECKING:
    import uvicorn

    from harness.serving.server.access import Access
    from harness.serving.server.gate import Gate
    from harness.serving.server.service import Service
    from harness.serving.server.telemetry import Telemetry
    from harness.serving.source import ModelSource

NEEDED = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
}
"""Packages of the extra `serve`, by what they are imported as."""
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FLOAT32_BYTES = 4
BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What is served where."""

    model: str
    """A bundle, a study, a run or a model in MLflow, as `harness.serving.opening.opened` takes it."""
    host: str = "127.0.0.1"
    port: int = 8501
    """0: a free one."""
    name: str = "model"
    """The model's, in URLs."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the server may be called by, beside its address and this machine's name."""
    batch_wait: float = 0.002
    """Seconds that images wait at most for others that are being prepared."""
    limits: Limits = field(default_factory=Limits)


def serve_bundle(settings: ServerSettings, ready: Callable[[str], None], tell: Callable[[str], None]) -> None:
    """Serve a model until a signal comes; what is in flight then is answered.

    Args:
        settings: what is served where.
        ready: called with the server's URL once it answers.
        tell: called with sentences about what goes on.

    Raises:
        ServingError: the model cannot be used, or the address is taken.
        StudyError: there is no such trial, or no such model in MLflow.
        UsageError: packages are missing, or the settings do not fit.
    """
    _check_packages()
    _check_name(settings.name)
    from harness.serving.opening import described_input, opened, source_of
    from harness.serving.server.access import TOKEN_VARIABLE, access_to, is_loopback
    from harness.serving.server.telemetry import Telemetry

    access = access_to(settings.host, settings.allowed_hosts)
    listening = bound_socket(settings.host, settings.port)
    with listening:
        found = opened(settings.model)
        source = source_of(found)
        if access.token_digest is None and not is_loopback(settings.host):
            tell(
                f"warning: whoever can reach {settings.host} may use this server, as no token is asked for; "
                f"set {TOKEN_VARIABLE}."
            )
        tell(f"loading {source.name} …")
        telemetry = Telemetry()
        with _service(source, settings, telemetry) as service:
            gate = _gate(service, described_input(found, source), settings, access, telemetry)
            _run(gate, listening, settings, lambda: ready(_url(settings.host, listening)))
            tell("stopped")


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that has the address, but does not listen yet; raises ServingError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ServingError(f"This machine has no address called {host!r}. Choose another --host.") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ServingError(
            f"Port {port} of {host} cannot be used: {error.strerror or error}. Choose another --port; "
            "0 takes a free one."
        ) from error
    return bound


def _check_packages() -> None:
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"`harness serve` needs {and_list(missing)}: type `pip install 'harness[serve]'` and try again."
        )


def _check_name(name: str) -> None:
    if not MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"A model cannot be called {shown(name)} in URLs; use letters, digits, '.', '_' and '-' with "
            "--name."
        )


@contextlib.contextmanager
def _service(source: ModelSource, settings: ServerSettings, telemetry: Telemetry) -> Iterator[Service]:
    """The loaded model with its threads; at the end they have ended."""
    from harness.serving.predictor import predictor_of
    from harness.serving.server.batching import SIZES, Batcher
    from harness.serving.server.program import compiled
    from harness.serving.server.service import Service

    loaded = predictor_of(source)
    shape, pictures = loaded.example_shape, max(1, loaded.source.frames)
    # Of clips, each frame counts as an image.
    sizes = [size for size in SIZES if size * pictures <= SIZES[-1]] or [1]
    limits = replace(settings.limits, images=max(1, settings.limits.images // pictures))
    batcher = Batcher(
        compiled(loaded.network, shape),
        shape,
        most_images=max(sizes[-1], limits.waiting_bytes // (math.prod(shape) * FLOAT32_BYTES)),
        wait_seconds=settings.batch_wait,
        observer=telemetry.ran,
        sizes=sizes,
    )
    batcher.start()
    threads = ThreadPoolExecutor(max(2, usable_cores()), thread_name_prefix="reader")
    telemetry.watch("images", "Being prepared, waiting for the model, or with it.", lambda: batcher.images)
    try:
        yield Service(loaded, batcher, threads, limits)
    finally:
        batcher.stop(settings.limits.stop_seconds)
        threads.shutdown(wait=False, cancel_futures=True)


def _gate(
    service: Service,
    described: dict[str, Any],
    settings: ServerSettings,
    access: Access,
    telemetry: Telemetry,
) -> Gate:
    from harness.serving.server.app import make_app, paths_of
    from harness.serving.server.gate import Gate

    app = make_app(service, settings.name, described, telemetry)
    gate = Gate(app, access, settings.limits, telemetry, paths_of(app))
    telemetry.watch("requests_in_flight", "Being answered.", lambda: gate.requests)
    telemetry.watch("held_bytes", "Of bodies that are being received or answered.", lambda: gate.held_bytes)
    return gate


def _run(gate: Gate, listening: socket.socket, settings: ServerSettings, ready: Callable[[], None]) -> None:
    import uvicorn

    from harness.serving.server.protocol import patient_for

    limits = settings.limits
    # What clients do wrong is answered and counted; only what goes wrong here is told.
    for name in ("uvicorn", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)
    config = uvicorn.Config(
        gate,
        http=patient_for(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=limits.stop_seconds,
    )
    _stoppable(config, ready).run(sockets=[listening])


def _stoppable(config: uvicorn.Config, ready: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class StoppableServer(uvicorn.Server):
        """Says when it answers, and takes signals as its proper end."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Like uvicorn's, but the signal is not raised again once everything is answered."""
            answered = (signal.SIGINT, signal.SIGTERM)
            before = {number: signal.signal(number, self.handle_exit) for number in answered}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return StoppableServer(config)


def _url(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
