"""What every request passes first: who asks, how much is sent and how fast, how many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from harness.serving.server.access import Access
from harness.serving.server.limits import MEBIBYTE, Limits
from harness.serving.server.refusal import CLOSE, RETRY, Refusal, as_error
from harness.serving.server.telemetry import Telemetry

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
DRAINED_BYTES, DRAINED_SECONDS = 8 * MEBIBYTE, 2.0
"""What is still received of a refused body: a client that is cut off while sending sees no answer."""
SAFETY = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
"""Headers of every answer: pages load nothing from elsewhere and are shown in no other page."""


STOPPING = Refusal(503, "The server is being stopped; ask again later.", RETRY)


class _GoneError(Exception):
    """The client went away while it was sending."""


@dataclass(slots=True)
class _Held:
    """What one request takes up, until its answer begins."""

    gate: Gate
    bytes: int = 0
    counted: bool = False

    def take(self, more: int) -> None:
        if self.gate.held_bytes + more > self.gate.limits.held_bytes:
            raise Refusal(429, "The server holds as much data as it may; ask again soon.", RETRY | CLOSE)
        self.gate.held_bytes += more
        self.bytes += more

    def begin(self) -> None:
        self.gate.check_room()
        self.gate.requests += 1
        self.counted = True

    def release(self) -> None:
        self.gate.held_bytes -= self.bytes
        self.gate.requests -= self.counted
        self.bytes, self.counted = 0, False


class Gate:
    """An ASGI application around another one."""

    def __init__(
        self, app: App, access: Access, limits: Limits, telemetry: Telemetry, paths: frozenset[str]
    ) -> None:
        """Put a gate before an application.

        Args:
            app: what is behind it.
            access: who may ask.
            limits: how much is taken on.
            telemetry: is told of every answer.
            paths: those that are counted under their names.
        """
        self.limits = limits
        self.requests = 0
        self.held_bytes = 0
        self._app = app
        self._access = access
        self._telemetry = telemetry
        self._paths = paths

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                held.release()
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *SAFETY]
            await send(message)

        with self._held() as held:
            try:
                self._access.check(scope["method"], scope["path"], scope["headers"])
                if scope["method"] in WITH_BODY:
                    self.check_room()
                    receive = _received(await self._body(scope, receive, held), receive)
                    held.begin()
                await self._app(scope, receive, answer)
            except Refusal as refusal:
                await _refuse(refusal, receive, answer)
            except _GoneError:
                return
            except asyncio.CancelledError:
                if status:
                    raise
                # The server stops and has waited long enough; this task ends here in any case.
                await _refuse(STOPPING, receive, answer)
            finally:
                if status:
                    path = scope["path"] if scope["path"] in self._paths else "other"
                    self._telemetry.answered(path, status, time.perf_counter() - started)

    def check_room(self) -> None:
        """Raises Refusal while as many requests are being answered as may be."""
        if self.requests >= self.limits.requests:
            raise Refusal(
                429,
                f"{self.requests:,} requests are being answered, as many as may be; ask again soon.",
                RETRY | CLOSE,
            )

    @contextmanager
    def _held(self) -> Iterator[_Held]:
        held = _Held(self)
        try:
            yield held
        finally:
            held.release()

    async def _body(self, scope: Message, receive: Receive, held: _Held) -> bytes:
        most = self.limits.body_bytes
        too_large = Refusal(413, f"The body is larger than {most:,} bytes, the most that is taken.", CLOSE)
        claimed = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(claimed) > most:
            raise too_large
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    part = message.get("body", b"")
                    if held.bytes + len(part) > most:
                        raise too_large
                    held.take(len(part))
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Refusal(
                408,
                f"The body was not there after {self.limits.body_seconds:g} seconds; send it faster.",
                CLOSE,
            ) from None


def _received(body: bytes, receive: Receive) -> Receive:
    """What an application receives whose request's body is there already."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    body = to_json(as_error(refusal.sentence))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **refusal.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": refusal.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if "connection" in refusal.headers:
        await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    left = DRAINED_BYTES
    try:
        async with asyncio.timeout(DRAINED_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return
