"""Batches: of fixed sizes, nobody's images are lost or mixed up, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.serving.server.batching import SIZES, Batcher, ModelError, QueueFullError, size_for

SHAPE = (1, 1, 1)


def double(images: Any) -> Any:
    """What serves as a model: twice the one pixel of each image, and its negative."""
    return np.stack([2 * images[:, 0, 0, 0], -images[:, 0, 0, 0]], axis=1)


def batcher(
    model: Callable[[Any], Any] = double, most: int = 1000, wait: float = 0.01
) -> tuple[Batcher, list[int]]:
    seen: list[int] = []

    def watched(images: Any) -> Any:
        seen.append(len(images))
        return model(images)

    made = Batcher(watched, SHAPE, most, wait, lambda *_: None)
    made.start()
    assert seen == list(SIZES)
    seen.clear()
    return made, seen


async def ask(made: Batcher, images: Any, pause: float = 0.0) -> Any:
    with made.place(len(images)) as place:
        await asyncio.sleep(pause)
        return await place.classify(images)


@settings(deadline=None)
@given(waiting=st.integers(1, 200))
def test_sizes_waste_little(waiting: int) -> None:
    size = size_for(waiting)
    assert size in SIZES
    assert size <= waiting or waiting >= 0.75 * size
    assert size >= min(waiting, SIZES[-1]) / 2


@given(sizes=st.lists(st.integers(1, 70), min_size=1, max_size=12), whole=st.booleans())
@settings(max_examples=40, deadline=None)
def test_everybody_gets_the_own_answer(sizes: list[int], *, whole: bool) -> None:
    made, seen = batcher()
    pixels = np.arange(sum(sizes), dtype=np.float32) % 251
    parts = np.split(pixels.reshape(-1, *SHAPE), np.cumsum(sizes)[:-1])

    async def everybody() -> Any:
        return await asyncio.gather(
            *(
                ask(made, part.astype(np.uint8) if whole else part, 0.001 * (at % 3))
                for at, part in enumerate(parts)
            )
        )

    try:
        found = asyncio.run(everybody())
    finally:
        made.stop()
    for part, answer in zip(parts, found, strict=True):
        np.testing.assert_array_equal(answer, double(part))
    assert set(seen) <= set(SIZES)
    assert sum(seen) >= sum(sizes)
    assert made.images == 0


def test_images_that_are_being_prepared_are_waited_for() -> None:
    made, seen = batcher(wait=20)
    one = np.ones((1, *SHAPE), np.float32)

    async def both() -> None:
        await asyncio.gather(ask(made, one), ask(made, one, pause=0.2))
        assert seen == [2]
        await ask(made, one)  # alone it does not wait
        assert seen == [2, 1]

    try:
        asyncio.run(asyncio.wait_for(both(), 10))
    finally:
        made.stop()


def test_who_gives_up_while_preparing_is_not_waited_for() -> None:
    made, seen = batcher(wait=20)

    async def gives_up() -> None:
        with made.place(3):
            await asyncio.sleep(0.1)
            raise ValueError("no image")

    async def both() -> None:
        found = await asyncio.gather(ask(made, np.ones((1, *SHAPE))), gives_up(), return_exceptions=True)
        assert isinstance(found[1], ValueError)
        np.testing.assert_array_equal(found[0], [[2, -1]])

    try:
        asyncio.run(asyncio.wait_for(both(), 10))
    finally:
        made.stop()
    assert seen == [1]


def test_only_so_many_images_wait() -> None:
    going = threading.Event()

    def slow(images: Any) -> Any:
        assert going.wait(20)
        return double(images)

    going.set()
    made, _ = batcher(slow, most=10)
    going.clear()
    one = np.ones((4, *SHAPE), np.float32)

    async def several() -> None:
        waiting = [asyncio.create_task(ask(made, one)) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert made.images == 8
        with pytest.raises(QueueFullError):
            await ask(made, one)
        going.set()
        await asyncio.gather(*waiting)
        assert made.images == 0
        await ask(made, np.ones((50, *SHAPE), np.float32))  # one alone may be larger

    try:
        asyncio.run(several())
    finally:
        going.set()
        made.stop()


def test_who_does_not_wait_any_more_is_forgotten() -> None:
    going = threading.Event()
    going.set()

    def slow(images: Any) -> Any:
        assert going.wait(20)
        return double(images)

    made, seen = batcher(slow)
    going.clear()
    one = np.ones((1, *SHAPE), np.float32)

    async def several() -> None:
        first = asyncio.create_task(ask(made, one))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(ask(made, one))
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.sleep(0.1)
        going.set()
        np.testing.assert_array_equal(await first, double(one))
        np.testing.assert_array_equal(await ask(made, one), double(one))

    try:
        asyncio.run(several())
    finally:
        going.set()
        made.stop()
    assert sum(seen) == 2
    assert made.images == 0


def test_a_model_that_fails_is_told_of_and_runs_again() -> None:
    failing: list[str] = []

    def sometimes(images: Any) -> Any:
        if failing:
            raise MemoryError(failing.pop())
        return double(images)

    made, _ = batcher(sometimes)
    failing.append("no room")
    try:
        with pytest.raises(ModelError, match="no room"):
            asyncio.run(ask(made, np.ones((40, *SHAPE), np.float32)))
        found = asyncio.run(ask(made, np.ones((40, *SHAPE), np.float32)))
        assert found.shape == (40, 2)
        assert made.is_running()
    finally:
        made.stop()


def test_what_waits_is_answered_before_the_end() -> None:
    going = threading.Event()
    going.set()

    def slow(images: Any) -> Any:
        assert going.wait(20)
        return double(images)

    made, _ = batcher(slow)
    going.clear()

    async def stop_meanwhile() -> Any:
        asked = [asyncio.create_task(ask(made, np.ones((9, *SHAPE), np.float32))) for _ in range(20)]
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(asyncio.to_thread(made.stop))
        while made.is_running():
            await asyncio.sleep(0.01)
        going.set()
        await stopping
        return await asyncio.gather(*asked)

    assert len(asyncio.run(stop_meanwhile())) == 20
    assert not made.is_running()
    with pytest.raises(ModelError):
        asyncio.run(ask(made, np.ones((1, *SHAPE), np.float32)))
