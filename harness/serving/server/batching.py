"""Micro-batching: one thread runs the model, on whatever images wait for it, a batch at a time.

Nobody waits for a batch to fill while there is nothing to wait for: the thread takes what is there. Only
while images of other requests are being prepared it waits for them, and not for long. While the model runs,
more requests come, and so batches grow with the load.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt

SIZES = (1, 2, 4, 8, 16, 32)
"""Images that the model is given at once, always one of these numbers."""
MOSTLY_FULL = 0.75
"""A batch is filled up to the next size if it has this share of it, else it is cut to the size before."""

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]
Model = Callable[[npt.NDArray[np.float32]], Probabilities]
"""From raw pixels float32 (N, H, W, C), or (N, T, H, W, C) of clips, to probabilities float32 (N, K)."""
Observer = Callable[[int, float], None]
"""Told of each batch: images in it, and seconds that the model took."""


class QueueFullError(Exception):
    """More images wait for the model than may."""


class ModelError(Exception):
    """The model failed, or is stopped."""


def size_for(waiting: int, sizes: Sequence[int] = SIZES) -> int:
    """The size of the next batch.

    Args:
        waiting: images that wait, at least 1.
        sizes: the sizes that there are, in rising order, the first of them 1.
    """
    larger = next((size for size in sizes if size >= waiting), sizes[-1])
    if waiting >= MOSTLY_FULL * larger:
        return larger
    return max(size for size in sizes if size <= waiting)


@dataclass(slots=True, eq=False)
class _Job:
    """The images of one request, which may be spread over several batches."""

    images: Pixels
    answer: Future[Probabilities]
    taken: int = 0
    """Images that were given to the model."""
    found: list[Probabilities] = field(default_factory=list)


class Batcher:
    """Runs the model in a thread of its own; all other methods are called by the event loop's."""

    def __init__(
        self,
        model: Model,
        example_shape: tuple[int, ...],
        most_images: int,
        wait_seconds: float,
        observer: Observer,
        sizes: Sequence[int] = SIZES,
    ) -> None:
        """Nothing runs before `start`.

        Args:
            model: what the batches are given to.
            example_shape: height, width, channels of an image; of a clip, before them the frames.
            most_images: that may be prepared, wait, or be with the model at once.
            wait_seconds: for images that are being prepared, at most, while others wait.
            observer: is told of each batch, in the model's thread.
            sizes: of batches, in rising order, the first of them 1.
        """
        self._model = model
        self._example_shape = example_shape
        self._most_images = most_images
        self._wait_seconds = wait_seconds
        self._observer = observer
        self._sizes = sizes
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._waiting = 0  # images in jobs that no batch has taken
        self._preparing = 0  # images that have a place, but are not there yet
        self._reserved = 0  # images that have a place
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    @property
    def images(self) -> int:
        """Images that are prepared, wait, or are with the model."""
        return self._reserved

    def start(self) -> None:
        """Run the model once for every size, then whatever comes."""
        for size in self._sizes:
            self._model(np.zeros((size, *self._example_shape), np.float32))
        self._thread.start()

    def is_running(self) -> bool:
        """Whether images are still taken."""
        return self._thread.is_alive() and not self._stopping

    def stop(self, within: float | None = None) -> None:
        """Answer what waits, and end the thread; wait for it at most so many seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(within)

    def place(self, images: int) -> Place:
        """A place for so many images; to be entered before they are prepared."""
        return Place(self, images)

    def _reserve(self, images: int) -> None:
        with self._changed:
            # One request alone is always taken, however large its images.
            if self._reserved and self._reserved + images > self._most_images:
                raise QueueFullError
            self._reserved += images
            self._preparing += images

    def _submit(self, images: Pixels) -> Future[Probabilities]:
        job = _Job(images, Future())
        with self._changed:
            if self._stopping:
                raise ModelError("the server is being stopped")
            self._preparing -= len(images)
            self._waiting += len(images)
            self._jobs.append(job)
            self._changed.notify()
        return job.answer

    def _release(self, images: int, *, submitted: bool) -> None:
        with self._changed:
            self._reserved -= images
            if not submitted:
                self._preparing -= images
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._stopping:
                        return
                    self._changed.wait()
                self._wait_for_more()
                pieces = self._next_pieces()
            if pieces:
                self._run(pieces)

    def _wait_for_more(self) -> None:
        until = time.monotonic() + self._wait_seconds
        while self._preparing > 0 and self._waiting < self._sizes[-1] and not self._stopping:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _next_pieces(self) -> list[tuple[_Job, Pixels]]:
        """What the next batch is made of; fewer images than there are if a smaller size fits better."""
        room = size_for(self._waiting, self._sizes)
        pieces: list[tuple[_Job, Pixels]] = []
        while room and self._jobs:
            job = self._jobs[0]
            if job.taken == 0 and not job.answer.set_running_or_notify_cancel():
                self._waiting -= len(job.images)  # nobody wants the answer any more
                self._jobs.popleft()
                continue
            piece = job.images[job.taken : job.taken + room]
            job.taken += len(piece)
            self._waiting -= len(piece)
            room -= len(piece)
            pieces.append((job, piece))
            if job.taken == len(job.images):
                self._jobs.popleft()
        return pieces

    def _run(self, pieces: list[tuple[_Job, Pixels]]) -> None:
        count = sum(len(piece) for _, piece in pieces)
        size = next(size for size in self._sizes if size >= count)
        batch = np.zeros((size, *self._example_shape), np.float32)
        np.concatenate([piece for _, piece in pieces], out=batch[:count])
        started = time.perf_counter()
        try:
            found = self._model(batch)[:count]
        except Exception as error:  # noqa: BLE001 - whatever the model raises, requests are answered
            for job, _ in pieces:
                if not job.answer.done():
                    job.answer.set_exception(ModelError(str(error)))
            return
        self._observer(count, time.perf_counter() - started)
        at = 0
        for job, piece in pieces:
            job.found.append(found[at : at + len(piece)])
            at += len(piece)
            if job.taken == len(job.images) and not job.answer.done():
                job.answer.set_result(np.concatenate(job.found))


class Place:
    """Room for the images of one request, from before they are prepared until they are answered."""

    def __init__(self, batcher: Batcher, images: int) -> None:
        self._batcher = batcher
        self._images = images
        self._submitted = False

    def __enter__(self) -> Place:
        """Raises QueueFullError if there is no room."""
        self._batcher._reserve(self._images)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._batcher._release(self._images, submitted=self._submitted)

    async def classify(self, images: Pixels) -> Probabilities:
        """The probabilities float32 (N, K) of as many images (N, H, W, C) as there is room for.

        Raises:
            ModelError: the model failed, or is stopped.
        """
        answer = self._batcher._submit(images)
        self._submitted = True
        return await asyncio.wrap_future(answer)
