"""The trackers of a running sweep: started with what the log holds, closed when the sweep has ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from harness.study.event_log import EventLog, read
from harness.tracking.background import BackgroundTracker
from harness.tracking.tracker import TrackedStudy
from harness.tracking.trackers import TRACKERS

UNHURRIED = 20.0, 600.0
"""Seconds for which the end of a sweep waits for a store that fails, and for one that is only slow."""
HURRIED = 1.5, 1.5
"""Seconds as in `UNHURRIED`, after a second ctrl-C; `harness sync` or the next resume writes the rest."""


def start_trackers(study: TrackedStudy, log: EventLog) -> list[BackgroundTracker]:
    """Every tracker, each in a thread of its own, with the records that the log holds already."""
    trackers = [
        BackgroundTracker(
            partial(kind.make, study),
            name,
            durable=lambda: log.durable,
            replay=lambda: read(study.paths.log),
            note=study.note,
        )
        for name, kind in TRACKERS.items()
    ]
    for record in log.records:
        for tracker in trackers:
            tracker.feed(record)
    return trackers


def close_trackers(
    trackers: list[BackgroundTracker], hurried: Callable[[], bool], deadline: float | None = None
) -> tuple[str, ...]:
    """Let the trackers catch up; sentences about those that could not.

    Args:
        trackers: as `start_trackers` has made them.
        hurried: asked repeatedly, whether to wait for a moment only.
        deadline: when all must be done, on the monotonic clock; None: whenever they are.
    """
    results = []
    for tracker in trackers:
        left = math.inf if deadline is None else max(0.0, deadline - time.monotonic())
        results.append(tracker.close(partial(_patience, hurried, left)))
    return tuple(result.message for result in results if not result.caught_up)


def _patience(hurried: Callable[[], bool], left: float) -> tuple[float, float]:
    """Seconds as in `UNHURRIED`, if at most `left` are left."""
    failing, slow = HURRIED if hurried() else UNHURRIED
    return min(failing, left), min(slow, left)
