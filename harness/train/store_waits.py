"""Waiting for the object store that has a study's files, for a while and no longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.clock import now_ms
from harness.errors import UnreachableError
from harness.records import Segment, StoreAway, WorkerEvent

PATIENCE_SECONDS = 120.0
"""How long a worker waits; then the segment goes to another, which may reach the store."""
FIRST_SECONDS, MOST_SECONDS = 0.5, 10.0
"""Between two tries, twice as long each time."""

T = TypeVar("T")


class StoreLostError(Exception):
    """The object store could not be reached for too long, or until the sweep ended: no fault of the trial."""


def when_store_answers(
    action: Callable[[], T],
    segment: Segment,
    observe: Callable[[WorkerEvent], None],
    should_stop: Callable[[], bool],
) -> T:
    """Call `action`, again and again while the object store is away, ever less often.

    Args:
        action: leaves things as they were when it fails.
        segment: that waits.
        observe: told why.
        should_stop: whether the sweep ends, so that nobody should wait.

    Raises:
        StoreLostError: it has been away for too long, or the sweep ends.
    """
    began, pause = time.monotonic(), FIRST_SECONDS
    while True:
        try:
            return action()
        except UnreachableError as error:
            if should_stop() or time.monotonic() - began > PATIENCE_SECONDS:
                raise StoreLostError(str(error)) from None
            observe(
                StoreAway(
                    trial=segment.trial, attempt=segment.attempt, message=waiting_for(error), time=now_ms()
                )
            )
            time.sleep(pause)
            pause = min(2 * pause, MOST_SECONDS)


def waiting_for(error: UnreachableError) -> str:
    """What people are told meanwhile."""
    return f"The sweep waits: {error} It goes on when it can."
