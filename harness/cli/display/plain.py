"""One line of text for each thing worth knowing, where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.display.lasting import LastingStream
from harness.cli.display.text import (
    best_text,
    epoch_text,
    features_text,
    headline,
    place_text,
    pulse_text,
    reached_text,
    score_text,
    summary,
)
from harness.records import EpochEnded, FeaturesReady, LogRecord, Pulse, SegmentEnded, TrialEnded
from harness.study.state import best, best_of

if TYPE_CHECKING:
    from harness.study.state import StudyState
    from harness.study.trial import Trial
    from harness.sweeping.plan import SweepPlan, SweepResult

PROGRESS_LINE_SECONDS = 5.0
PULSE_LINE_SECONDS = 30.0
"""How often a line is printed within a long epoch."""


class PlainDisplay:
    """Prints one line of text on standard error for each thing worth knowing."""

    def __init__(self) -> None:
        self._state: StudyState | None = None
        self._plan: SweepPlan | None = None
        self._best: Trial | None = None
        """The best complete trial so far."""
        self._segments: dict[int, SegmentEnded] = {}
        """The last one of each trial."""
        self._pulses: dict[int, tuple[int, float]] = {}
        """By trial, the epoch of which a line was printed last, and its seconds by then."""
        self._last_progress = 0.0
        self._progress = ("", 0, 0)
        """What was printed last of such a step."""

    def progress(self, label: str, done: int, total: int) -> None:
        """Print how far a long step of the preparation is, every few seconds and at its end; never twice."""
        due = done >= total or time.monotonic() - self._last_progress > PROGRESS_LINE_SECONDS
        if due and (label, done, total) != self._progress:
            self._last_progress, self._progress = time.monotonic(), (label, done, total)
            self.note(f"{label}: {done:,} of {total:,}")

    def note(self, message: str) -> None:
        """Print the sentence."""
        print(printable(message), file=LastingStream(sys.stderr), flush=True)

    def opened(self, state: StudyState, plan: SweepPlan, workers: int) -> None:
        """Print what is run on which data."""
        self._state, self._plan, self._best = state, plan, best(state)
        self.note(headline(state, plan, workers))

    def on_pulse(self, pulse: Pulse) -> None:
        """Print how far a long epoch is, from time to time."""
        told = self._pulses.get(pulse.trial, (0, 0.0))
        before = told[1] if told[0] == pulse.epoch else 0.0
        if pulse.seconds - before > PULSE_LINE_SECONDS:
            self._pulses[pulse.trial] = pulse.epoch, pulse.seconds
            self.note(
                f"trial {pulse.trial}: epoch {pulse.epoch}, {pulse_text(pulse)} ({pulse.seconds:.0f} s)"
            )

    def on_record(self, record: LogRecord) -> None:
        """Print a line for every segment and trial that ends; of a single trial, for every epoch."""
        event = record.event
        if self._state is None or self._plan is None:
            return
        if isinstance(event, EpochEnded) and self._plan.trials == 1:
            self.note(f"{place_text(self._plan, event.epoch)}: {epoch_text(event.metrics)}")
        elif isinstance(event, SegmentEnded) and self._plan.trials > 1:
            before, self._segments[event.trial] = self._segments.get(event.trial), event
            if not event.over and event.epoch > (before.epoch if before else 0):
                self._tell(event)
        elif isinstance(event, TrialEnded) and event.state == "complete":
            ended = [self._state.trials[event.trial], *([self._best] if self._best else [])]
            self._best = best_of(ended, self._plan.experiment.objective)
            if event.trial in self._segments:
                self._tell(self._segments[event.trial])  # only now does it count for the best
        elif isinstance(event, FeaturesReady) and (text := features_text(event, self._plan.dataset.noun)):
            self.note(text)
        elif isinstance(event, TrialEnded) and event.state == "failed":
            self.note(f"trial {event.trial} failed ({event.failure}): {event.reason}")

    def _tell(self, event: SegmentEnded) -> None:
        assert self._state is not None
        assert self._plan is not None
        trial = self._state.trials[event.trial]
        score = score_text(trial, event.epoch, self._plan)
        reached = reached_text(self._plan, trial, event.epoch)
        self.note(
            f"trial {event.trial}: {self._plan.experiment.objective.name} {score} "
            f"after {reached} ({event.seconds:.1f} s){best_text(self._best)}"
        )

    def ended(self, result: SweepResult) -> None:
        """Print the summary."""
        for line in summary(result):
            self.note(line)
