"""The one place from which a sweep writes to its study's event log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class StudyWriter:
    """Appends events to the log, keeps the state up to date with it, and tells whoever listens.

    What must be durable becomes so by `commit`, one sync for as many events as there are by then. Until it
    has returned nobody acts upon them: no worker is given a segment, no checkpoint is removed, and no tracker
    writes them.
    """

    plan: SweepPlan
    log: EventLog
    state: StudyState
    """Folded from the log so far; kept up to date with every event."""
    callbacks: Sequence[OnRecord] = ()
    """Functions that are called with every record that is written."""
    wait: Callable[[OSError], object] = give_up
    """Called while the log has no room; waits a while and returns, or raises to give up."""
    _is_due: bool = False
    """Whether something that was written has to be durable before anything else is done."""
    _superseded: list[str] = field(default_factory=list)
    """Checkpoints that are of no use once what was written is durable."""
    _ended: list[int] = field(default_factory=list)
    """Trials that need no checkpoints any more once what was written is durable."""

    def emit(self, event: Event, *, durable: bool = False) -> None:
        """Write an event.

        Args:
            event: what has happened.
            durable: `commit` is to make sure that no power cut can take it from the log any more.

        Raises:
            OSError: the log cannot be written, and it is not for want of room or nobody waits for it.
        """
        record = when_there_is_room(partial(self.log.append, event), self.wait)
        self._is_due = self._is_due or durable
        self.state.apply(record)
        for callback in self.callbacks:
            callback(record)

    def commit(self) -> None:
        """Make durable all that has to be, and only then remove the checkpoints that it supersedes.

        Raises:
            OSError: as `emit`.
        """
        if not self._is_due:
            return
        when_there_is_room(self.log.commit, self.wait)
        self._is_due = False
        superseded, self._superseded = self._superseded, []
        ended, self._ended = self._ended, []
        files = study_files(self.plan.study_folder)
        for file in superseded:
            files.remove(file)
        for trial in ended:
            remove_checkpoints(self.plan.study_folder, trial, keep=())

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
        self._superseded += [checkpoint.file for checkpoint in superseded]

    def out_of_memory(self, segment: Segment, message: str, *, shared: bool) -> None:
        """A worker is gone for the memory that a segment took, so it could not say so itself."""
        failed = SegmentFailed(
            trial=segment.trial,
            attempt=segment.attempt,
            failure="out_of_memory",
            message=message,
            traceback="",
            shared=shared,
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
        self._ended.append(trial.number)
