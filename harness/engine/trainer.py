"""What a worker trains with: how a segment is run, how its failures are described, how it answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from harness.records import Answer, Question, Segment, SegmentFailed, WorkerEvent

Observe = Callable[[WorkerEvent], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Trainer:
    """Runs segments, one at a time."""

    run: Callable[[Segment, Observe, ShouldStop], Future[None]]
    """Trains a segment: it is given whom to tell what happens, and what says that it should stop. What it
    returns is done when the segment's last file is durable."""
    describe: Callable[[Segment, BaseException], SegmentFailed]
    """What is reported of a segment whose training, or whose last file, has failed."""
    answer: Callable[[Question], Answer]
    """Finds out something without training a trial; never called while a segment trains."""


def keras_trainer(
    programs_memory: int = 2 << 30, data_memory: int = 2 << 30, device_data: int | None = None
) -> Trainer:
    """Trains with Keras in this process, which must be able to import TensorFlow.

    Args:
        programs_memory: bytes of compiled programs to keep for later segments.
        data_memory: bytes of images to hold in memory.
        device_data: bytes of training images to hold on a GPU; None: they count like the others.
    """
    from harness.train.failures import describe
    from harness.train.questions import answer
    from harness.train.segment import run_segment
    from harness.train.worker_cache import WorkerCache

    cache = WorkerCache(programs_memory, data_memory, device_data)

    def run(segment: Segment, observe: Observe, should_stop: ShouldStop) -> Future[None]:
        return run_segment(segment, cache, observe, should_stop)

    return Trainer(run, describe, answer)
