"""Classify files in batches of bounded memory, in their order; what cannot be read does not stop the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from harness.data.containers import HEAD, container_of
from harness.errors import DataError
from harness.machine import usable_cores
from harness.serving.inputs import Input
from harness.serving.predictor import Images, Predictor, Probabilities
from harness.serving.results import Result, best_of
from harness.serving.timeline import frame_results, segments_of
from harness.serving.video import read_video

BATCH_VALUES = 16 * 2**20
"""Numbers that the pixels of a batch may have; as float32 they are 64 MiB."""
LARGEST_BATCH = 256
MOST_READERS = 4
"""Files that are decoded at a time: each may need some hundred MiB meanwhile."""
MAX_BYTES = 2**30
"""Larger files are no images or clips."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of each file."""

    top: int = 1
    """How many classes."""
    threshold: float = 0.0
    """Below this probability the answer is `unsure`."""
    every: int = 10
    """Of a video every so-many-th frame is classified."""
    smooth: int = 5
    """Classified frames over which a video's classes are smoothed."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read: either its pixels, or its container as a video of which frames are classified one
    by one, or what is wrong with it."""

    given: Input
    pixels: Images | None = None
    video: str | None = None
    error: str = ""


def classify(
    model: Predictor,
    inputs: Iterable[Input],
    wanted: Wanted,
    seen: Callable[[int], object] = lambda _: None,
) -> Iterator[Result]:
    """The results of all files, in their order; the next batch is read while one is classified.

    Args:
        model: by which.
        inputs: the files; taken as they are needed.
        wanted: what of each.
        seen: told, again and again, how many more images, clips and frames of videos were classified.
    """
    waiting: list[Future[_Read]] = []
    size, files = batch_size(model.example_shape), iter(inputs)
    readers = ThreadPoolExecutor(min(usable_cores(), MOST_READERS))
    try:
        while batch := list(islice(files, size)):
            following = [readers.submit(_read, model, one) for one in batch]
            yield from _answers(model, waiting, wanted, seen)
            waiting = following
        yield from _answers(model, waiting, wanted, seen)
    finally:
        readers.shutdown(cancel_futures=True)  # whoever interrupts does not wait for a batch


def batch_size(example_shape: tuple[int, ...]) -> int:
    """Images or clips of this shape that are classified at a time."""
    return max(1, min(LARGEST_BATCH, BATCH_VALUES // math.prod(example_shape)))


def _read(model: Predictor, given: Input) -> _Read:
    if given.error:
        return _Read(given, error=given.error)
    try:
        with given.path.open("rb") as file:
            head = file.read(HEAD)
            if not model.source.frames and (kind := container_of(head)):
                return _Read(given, video=kind)
            content = head + file.read(MAX_BYTES)
        if len(content) > MAX_BYTES:
            noun = model.source.noun
            raise DataError(f"The file has more than {MAX_BYTES:,} bytes, so it is no {noun} that is read.")
        return _Read(given, pixels=model.prepare(content))
    except DataError as error:
        return _Read(given, error=str(error))
    except OSError as error:
        return _Read(given, error=f"The file cannot be read: {error.strerror or error}.")


def _answers(
    model: Predictor, waiting: list[Future[_Read]], wanted: Wanted, seen: Callable[[int], object]
) -> Iterator[Result]:
    batch = [one.result() for one in waiting]
    pixels = [one.pixels for one in batch if one.pixels is not None]
    found = iter(model.predict(np.stack(pixels)) if pixels else ())
    seen(len(pixels))
    for one in batch:
        if one.video is not None:
            yield _of_video(model, one.given, one.video, wanted, seen)
        elif one.pixels is None:
            yield Result(one.given.name, label=one.given.label, error=one.error)
        else:
            yield _result(model, one.given, next(found), wanted)


def _result(model: Predictor, given: Input, probabilities: Probabilities, wanted: Wanted) -> Result:
    guesses = best_of(probabilities, model.classes, wanted.top)
    return Result(
        given.name,
        guesses,
        unsure=guesses[0].probability < wanted.threshold,
        kind=model.source.noun,
        label=given.label,
    )


def _of_video(
    model: Predictor, given: Input, kind: str, wanted: Wanted, seen: Callable[[int], object]
) -> Result:
    """What was found for a video; where it is damaged, for its frames before that."""
    numbers: list[int] = []
    seconds: list[float] = []
    waiting: list[Images] = []
    found: list[Probabilities] = []

    def answer() -> None:
        if waiting:
            found.append(model.predict(np.stack(waiting)))
            seen(len(waiting))
            waiting.clear()

    def take(number: int, at: float, content: bytes) -> None:
        waiting.append(model.prepare(content))
        numbers.append(number)
        seconds.append(at)
        if len(waiting) == batch_size(model.example_shape):
            answer()

    error, end = "", 0.0
    try:
        end = read_video(given.path, kind, wanted.every, model.source.max_pixels, take)
    except DataError as damage:
        error, end = str(damage), seconds[-1] if seconds else 0.0
    except OSError as damage:
        error, end = f"The file cannot be read: {damage.strerror or damage}.", seconds[-1] if seconds else 0.0
    answer()
    if not found:
        error = error or "The video has no frame that can be decoded."
        return Result(given.name, label=given.label, error=error)
    every = np.concatenate(found)
    frames = frame_results(numbers, seconds, every, model.classes, wanted.smooth, wanted.threshold)
    guesses = best_of(every.mean(axis=0), model.classes, wanted.top)
    return Result(
        given.name,
        guesses,
        unsure=guesses[0].probability < wanted.threshold,
        kind="video",
        label=given.label,
        error=error,
        frames=tuple(frames),
        segments=tuple(segments_of(frames, end)),
    )
