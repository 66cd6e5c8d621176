"""The gate before an application, without a server around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from harness.serving.server.access import Access
from harness.serving.server.gate import Gate
from harness.serving.server.limits import Limits
from harness.serving.server.telemetry import Telemetry

Message = dict[str, Any]


def gate(app: Callable[..., Any], limits: Limits) -> Gate:
    return Gate(app, Access(frozenset({"localhost"})), limits, Telemetry(), frozenset({"/predict"}))


async def ask(before: Gate, *parts: bytes) -> tuple[int, Any]:
    """Status and content of the answer to a body that comes in parts."""
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"host", b"localhost")]}
    await before(scope, receive, send)
    content = b"".join(message["body"] for message in sent[1:])
    assert [message.get("more_body", False) for message in sent[1:]].count(False) == 1
    return sent[0]["status"], json.loads(content)


def echo(going: asyncio.Event) -> Callable[..., Any]:
    """An application that answers with the length of the body, once it may."""

    async def answer(scope: Message, receive: Callable[[], Any], send: Callable[[Message], Any]) -> None:
        body = (await receive())["body"]
        await going.wait()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(len(body)).encode()})

    return answer


async def at_once(before: Gate, going: asyncio.Event, *bodies: tuple[bytes, ...]) -> list[int]:
    """The statuses of requests that come together, in order; those that are taken wait for the others."""
    asking = [asyncio.create_task(ask(before, *parts)) for parts in bodies]
    while before.requests + sum(task.done() for task in asking) < len(bodies):
        await asyncio.sleep(0.01)
    going.set()
    return sorted(status for status, _ in await asyncio.gather(*asking))


def test_a_body_in_parts_is_whole() -> None:
    async def alone() -> tuple[int, Any]:
        going = asyncio.Event()
        going.set()
        return await ask(gate(echo(going), Limits()), b"abc", b"", b"de")

    assert asyncio.run(alone()) == (200, 5)


def test_what_all_requests_hold_together_is_limited() -> None:
    async def several() -> None:
        going = asyncio.Event()
        before = gate(echo(going), Limits(held_bytes=10))
        assert await at_once(before, going, *[(bytes(2), bytes(2))] * 4) == [200, 200, 429, 429]
        assert before.held_bytes == before.requests == 0
        assert await ask(before, bytes(10)) == (200, 10)

    asyncio.run(several())


def test_requests_at_once_are_limited_however_they_came() -> None:
    """Also where bodies began to come while there was room, and ended when there was none."""

    async def several() -> None:
        going = asyncio.Event()
        before = gate(echo(going), Limits(requests=3))
        assert await at_once(before, going, *[(b"a",)] * 5) == [200, 200, 200, 429, 429]
        assert before.requests == before.held_bytes == 0

    asyncio.run(several())


def test_who_is_not_answered_when_the_server_stops_is_told() -> None:
    async def stopped() -> None:
        before = gate(echo(asyncio.Event()), Limits())
        asking = asyncio.create_task(ask(before, b"a"))
        while not before.requests:
            await asyncio.sleep(0.01)
        asking.cancel()
        status, content = await asking
        assert status == 503
        assert "being stopped" in content["error"]
        assert before.requests == before.held_bytes == 0

    asyncio.run(stopped())
