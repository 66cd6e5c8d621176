"""How long a worker may say nothing before it counts as hung.

A worker speaks about once a second while it trains. Before the first pulse of a segment, while it compiles,
and while it writes, the limit goes by what an epoch of this configuration should take, judged by the epochs
of the session. And a worker that keeps a processor busy is at work, however long it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.experiment.parameters import multiply_adds
from harness.records import Segment

FIRST_SECONDS = 900.0
"""Seconds of silence that are allowed before any epoch of the study has been timed, and the least that are
allowed a network whose size nobody knows, such as a plug-in's."""
START_SECONDS = 120.0
"""Seconds for compiling that are part of every limit once an epoch has been timed."""
PULSE_SECONDS = 60.0
"""Seconds of silence that are allowed after a pulse: many steps of the largest networks."""
EPOCHS = 10.0
"""How many times the seconds that an epoch should take are allowed on top of `START_SECONDS`."""
WATCHED_SECONDS = 20.0
"""For how many seconds a worker beyond its limit is watched before it is judged."""
BUSY = 0.05
"""The share of a processor that a worker must use while it is watched, to count as working."""


@dataclass(slots=True)
class EpochTimes:
    """What epochs have taken in this session."""

    longest: float | None = None
    """Seconds of the longest one; None before any has ended."""
    _slowest: float = 0.0
    """Seconds for an image and a multiply-add, the most so far."""

    def learn(self, segment: Segment, seconds: float) -> None:
        """An epoch of the segment took so many seconds."""
        self.longest = max(self.longest or 0.0, seconds)
        work = _work(segment)
        if work:
            self._slowest = max(self._slowest, seconds / work)

    def limit(self, segment: Segment) -> float:
        """Seconds for which whoever runs the segment may say nothing."""
        if self.longest is None:
            return FIRST_SECONDS
        work = _work(segment)
        limit = START_SECONDS + EPOCHS * max(self.longest, self._slowest * (work or 0.0))
        return limit if work else max(limit, FIRST_SECONDS)


def _work(segment: Segment) -> float | None:
    """Roughly the multiply-adds of an epoch's forward passes; None if nobody knows the network's size."""
    one_image = multiply_adds(segment.params, segment.dataset.example_shape)
    if one_image is None:
        return None
    return segment.dataset.counts["train"] * float(segment.params["train_fraction"]) * one_image
