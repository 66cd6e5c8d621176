"""The one place from which a sweep writes to its study's event log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.clock import now_ms
from harness.paths import give_up, when_there_is_room
from harness.records import (
    CheckpointSaved,
    ConfigurationRefused,
    Event,
    FailureKind,
    LogRecord,
    Segment,
    SegmentFailed,
    SegmentStarted,
    TrialStarted,
    TrialState,
)
from harness.study.cleanup import remove_checkpoints
from harness.study.event_log import EventLog
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.study_files import study_files
from harness.sweeping.outcomes import trial_ended
from harness.sweeping.plan import SweepPlan
from harness.sweeping.refused import Refused

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Suggestion

OnRecord = Callable[[LogRecord], None]


@dataclass(frozen=True, slots=True)
class StudyWriter:
    """Appends events to the log, keeps the state up to date with it, and tells whoever listens."""

    plan: SweepPlan
    log: EventLog
    state: StudyState
    """Folded from the log so far; kept up to date with every event."""
    callbacks: Sequence[OnRecord] = ()
    """Functions that are called with every record that is written."""
    wait: Callable[[OSError], object] = give_up
    """Called while the log has no room; waits a while and returns, or raises to give up."""

    def emit(self, event: Event, *, durable: bool = False) -> None:
        """Write an event.

        Args:
            event: what has happened.
            durable: return only when no power cut can take it from the log any more.

        Raises:
            OSError: the log cannot be written, and it is not for want of room or nobody waits for it.
        """
        record = when_there_is_room(partial(self.log.append, event, durable=durable), self.wait)
        self.state.apply(record)
        for callback in self.callbacks:
            callback(record)

    def trial_started(self, number: int, suggestion: Suggestion) -> None:
        """A new trial has its configuration."""
        started = TrialStarted(
            trial=number,
            params=suggestion.params,
            sampled=suggestion.sampled,
            seed=suggestion.seed,
            generation=self.state.space_version,
            time=now_ms(),
        )
        self.emit(started, durable=True)

    def configuration_refused(self, refused: Refused) -> None:
        """A configuration that was suggested may not be begun; what comes after it makes it durable."""
        refusal = refused.refusal
        event = ConfigurationRefused(
            number=refused.number,
            params=refused.params,
            sampled=refused.sampled,
            reason=refusal.reason,
            needed=refusal.needed,
            available=refusal.available,
            time=now_ms(),
        )
        self.emit(event)

    def segment_started(self, segment: Segment, worker: int) -> None:
        """A worker is given a segment."""
        started = SegmentStarted(
            trial=segment.trial,
            attempt=segment.attempt,
            start=segment.start,
            stop=segment.stop,
            worker=worker,
            microbatches=segment.microbatches,
            annealing=segment.annealing,
            time=now_ms(),
        )
        self.emit(started)

    def checkpoint_saved(self, event: CheckpointSaved) -> None:
        """A checkpoint is durable, so the one before the one before it is of no use any more."""
        superseded = self.state.trials[event.trial].checkpoints[:-1]
        self.emit(event, durable=True)
        for checkpoint in superseded:
            study_files(self.plan.study_folder).remove(checkpoint.file)

    def out_of_memory(self, segment: Segment, message: str) -> None:
        """A worker was killed for the memory that a segment took, so it could not say so itself."""
        failed = SegmentFailed(
            trial=segment.trial,
            attempt=segment.attempt,
            failure="out_of_memory",
            message=message,
            traceback="",
            time=now_ms(),
        )
        self.emit(failed, durable=True)

    def trial_ended(
        self,
        trial: Trial,
        state: TrialState,
        *,
        reason: str,
        failure: FailureKind | None = None,
        traceback: str = "",
    ) -> None:
        """The trial has its one terminal state, and needs no checkpoints any more."""
        event = trial_ended(self.plan, trial, state, reason=reason, failure=failure, traceback=traceback)
        self.emit(event, durable=True)
        remove_checkpoints(self.plan.study_folder, trial.number, keep=())
