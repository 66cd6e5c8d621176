"""Requests to answers: reading in threads, the model in its own, the event loop never waits for either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.messages import shown
from harness.serving.predictor import Predictor
from harness.serving.server.batching import Batcher, ModelError, Pixels, Probabilities, QueueFullError
from harness.serving.server.limits import Limits
from harness.serving.server.refusal import RETRY, Refusal
from harness.serving.server.rest import answer, read_request
from harness.serving.server.uploads import MEDIA, read_uploads

AT_ONCE_BYTES = 1 << 15
"""A body up to this size is read where it is: handing it to a thread would take longer."""
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Service:
    """A model that answers requests."""

    predictor: Predictor
    batcher: Batcher
    threads: Executor
    """Where bodies and images are read."""
    limits: Limits

    @property
    def noun(self) -> str:
        """What the model classifies, `image` or `clip`."""
        return self.predictor.source.noun

    async def predict(self, body: bytes) -> Any:
        """The answer to a request in TensorFlow Serving's form; raises Refusal."""
        shape, most = self.predictor.example_shape, self.limits.images
        asked = await self._read(body, lambda: read_request(body, shape, most))
        if isinstance(asked.images, tuple):
            where = "inputs" if asked.by_column else "instances"
            names = [f"{where}[{at}]" for at in range(len(asked.images))]
            probabilities = await self._classify_files(asked.images, names)
        else:
            probabilities = await self._classify(asked.images, len(asked.images))
        return answer(probabilities, self.predictor.classes, by_column=asked.by_column)

    async def upload(self, body: bytes, content_type: str) -> Any:
        """The answer to files that were sent; raises Refusal."""
        most, classes = self.limits.images, self.predictor.classes
        uploads = await self._read(body, lambda: read_uploads(body, content_type, most, MEDIA[self.noun]))
        names = [shown(one.name) if one.name else f"file {at + 1}" for at, one in enumerate(uploads)]
        probabilities = await self._classify_files([one.content for one in uploads], names)
        found = answer(probabilities, classes, by_column=False)["predictions"]
        return {
            "classes": classes,
            "predictions": [{"file": one.name, **row} for one, row in zip(uploads, found, strict=True)],
        }

    async def _read(self, body: bytes, read: Callable[[], Read]) -> Read:
        return read() if len(body) <= AT_ONCE_BYTES else await self._in_thread(read)

    async def _classify_files(self, contents: Sequence[bytes], names: Sequence[str]) -> Probabilities:
        return await self._classify(lambda: self._decoded(contents, names), len(contents))

    def _decoded(self, contents: Sequence[bytes], names: Sequence[str]) -> npt.NDArray[np.uint8]:
        """The pixels uint8 (N, …) of files; raises Refusal for one that cannot be read."""
        images = np.empty((len(contents), *self.predictor.example_shape), np.uint8)
        for at, content in enumerate(contents):
            try:
                images[at] = self.predictor.prepare(content)
            except DataError as error:
                raise Refusal(400, f"{names[at]}: {error}") from error
        return images

    async def _classify(self, images: Pixels | Callable[[], Pixels], count: int) -> Probabilities:
        """Probabilities float32 (N, K) of images, or of what a function makes of them in a thread."""
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                with self.batcher.place(count) as place:
                    pixels = await self._in_thread(images) if callable(images) else images
                    return await place.classify(pixels)
        except QueueFullError:
            raise Refusal(429, "As many images wait for the model as may; ask again soon.", RETRY) from None
        except TimeoutError:
            raise Refusal(
                503,
                f"There was no answer within {self.limits.answer_seconds:g} seconds; ask again later.",
                RETRY,
            ) from None
        except ModelError as error:
            raise Refusal(503, f"The model cannot answer: {_short(error)}.", RETRY) from error

    async def _in_thread(self, work: Callable[[], Read]) -> Read:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


def _short(error: Exception) -> str:
    """The first line of what the model's library says, which may be pages."""
    return str(error).split("\n", 1)[0][:200].rstrip(".") or type(error).__name__
