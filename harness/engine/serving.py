"""A worker's loop, whatever carries its messages: segments are run one after the other until none comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from harness.engine.trainer import Trainer
from harness.engine.wire import Ready, Report, Request, StopSegment
from harness.records import Question, Segment


def serve(
    receive: Callable[[], Request | None], send: Callable[[Report], None], start: Callable[[], Trainer]
) -> None:
    """Say that the worker is ready, then run every segment that comes and report on it, and answer questions.

    Args:
        receive: waits for the next request; None when no more will come. It is called from a thread of its
            own, so that requests are heard while the trainer starts and while a segment runs.
        send: carries a report away; never called by two threads at a time.
        start: makes the trainer, which takes a while.
    """
    given: queue.Queue[Segment | Question | None] = queue.Queue()
    stop = threading.Event()
    one_at_a_time = threading.Lock()

    def observe(report: Report) -> None:
        with one_at_a_time:
            send(report)

    def tell_failure(segment: Segment, files: Future[None]) -> None:
        error = files.exception()
        if error is not None:
            observe(trainer.describe(segment, error))

    threading.Thread(target=_listen, args=(receive, given, stop), daemon=True).start()
    trainer = start()
    observe(Ready())
    written: Future[None] | None = None
    while (task := given.get()) is not None:
        if isinstance(task, Question):
            observe(trainer.answer(task))
            continue
        try:
            written = trainer.run(task, observe, stop.is_set)
            written.add_done_callback(partial(tell_failure, task))
        except Exception as error:  # noqa: BLE001 - whatever a trial raises is an outcome of the trial
            observe(trainer.describe(task, error))
    if written is not None:
        written.exception()  # its last file is durable, or the failure is told


def _listen(
    receive: Callable[[], Request | None],
    given: queue.Queue[Segment | Question | None],
    stop: threading.Event,
) -> None:
    """Queue what the coordinator sends, and pass on that it wants the segment to stop."""
    while (request := receive()) is not None:
        if isinstance(request, StopSegment):
            stop.set()
        else:
            stop.clear()
            given.put(request)
    stop.set()
    given.put(None)
