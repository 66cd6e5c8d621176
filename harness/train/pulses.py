"""An epoch in pulses: parts of about a second, after each of which a worker speaks and listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from harness.clock import now_ms
from harness.records import Phase, Pulse, Segment, WorkerEvent

PULSE_SECONDS = 1.0
"""How long a pulse is meant to take; it is one step at least."""
GROWTH = 4
"""How many times as long as the one before a pulse may be: one measurement may be wrong."""
QUIET_SECONDS = 0.5
"""Pulses that follow one another more quickly are not all told."""

Beat: TypeAlias = Callable[[float], None]
"""Called after each pulse with the share of the work that is done, from 0 to 1."""


class CutOffError(Exception):
    """The segment was asked to stop within an epoch; what was trained of that epoch counts for nothing."""


def unheard(_: float) -> None:
    """A `Beat` that nobody listens to."""


@dataclass(slots=True)
class Pace:
    """How many steps make a pulse, learned from those before.

    A program keeps its own: its steps take equally long in every trial.
    """

    steps: int = 1
    """Of the next pulse."""
    _compiled: bool = False

    def learn(self, steps: int, seconds: float) -> None:
        """A pulse of so many steps took so long."""
        if not self._compiled:  # the first one has taken its time to compile
            self._compiled = True
        elif 2 * steps >= self.steps or seconds > PULSE_SECONDS:  # a short remainder says little
            fitting = int(PULSE_SECONDS * steps / max(seconds, 1e-6))
            self.steps = max(1, min(fitting, GROWTH * steps))


class Heart:
    """Tells the pulses of one segment, and ends it within an epoch when it is to stop."""

    def __init__(
        self, segment: Segment, observe: Callable[[WorkerEvent], None], should_stop: Callable[[], bool]
    ) -> None:
        self._segment, self._observe, self._should_stop = segment, observe, should_stop
        self._epoch = segment.start
        self._began = self._spoke = time.monotonic()

    def begin(self, epoch: int) -> None:
        """The pulses that follow are of this epoch."""
        self._epoch, self._began = epoch, time.monotonic()

    def computing(self, share: float) -> None:
        """So many of the features are computed; raises CutOffError if the segment is to stop."""
        self._beat("features", share)

    def training(self, share: float) -> None:
        """So much of the epoch's training is done; raises CutOffError if the segment is to stop."""
        self._beat("training", share)

    def validating(self, share: float) -> None:
        """So much of the epoch's validation is done; raises CutOffError if the segment is to stop."""
        self._beat("validation", share)

    def writing(self) -> None:
        """The checkpoint of the epoch before is still being written."""
        self._tell("writing", 0.0)

    def _beat(self, phase: Phase, share: float) -> None:
        self._tell(phase, share)
        if self._should_stop():
            raise CutOffError

    def _tell(self, phase: Phase, share: float) -> None:
        now = time.monotonic()
        if now - self._spoke < QUIET_SECONDS:
            return
        self._spoke = now
        self._observe(
            Pulse(
                trial=self._segment.trial,
                attempt=self._segment.attempt,
                epoch=self._epoch,
                phase=phase,
                share=share,
                seconds=now - self._began,
                time=now_ms(),
            )
        )
