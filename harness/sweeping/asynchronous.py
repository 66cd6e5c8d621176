"""The asynchronous policy: every decision uses all that is known by then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.records import LogRecord, SegmentEnded, SegmentStarted, TrialEnded, TrialStarted
from harness.schedulers.protocol import Promotion, Scheduler, Values
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.policy import Choice, Outcome, TimeLeft

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Sampler

LAST_MOMENT = 1.5
"""The last training to the end begins when so many times its seconds, and the longest epoch's, are left."""
SAFETY = 1.05
"""How many times its epochs' own seconds a segment is taken to last, with all that comes beside them."""


@dataclass(slots=True)
class AsynchronousPolicy:
    """Every decision uses all that is known by then."""

    sampler: Sampler
    scheduler: Scheduler
    trials: int
    """The study's total."""
    started: int = 0
    """Trials so far."""
    exhausted: bool = False
    _seconds: dict[int, float] = field(default_factory=dict)
    """What an epoch takes, by trial."""
    _stopped: list[int] = field(default_factory=list)

    def ask(self, left: TimeLeft | None) -> Choice | None:
        """A promotion if one was earned, else a new trial.

        Shortly before a time limit, the best paused trials that can still be trained to the end come first:
        whoever gives a sweep so many minutes wants a model at their end.
        """
        all_started = self.exhausted or self.started >= self.trials
        promotion = self._last_chance(left) if left else None
        promotion = promotion or self.scheduler.promote_next(all_started=all_started)
        if promotion is not None:
            return Choice(promotion.trial, promotion.stop)
        if all_started:
            return None
        suggestion = self.sampler.ask(self.started, cost_weight=left.share if left else 0.0)
        if suggestion is None:
            self.exhausted = True
            return self.ask(left)  # what has been tried may still earn a promotion
        number = self.started
        self.started += 1
        return Choice(number, self.scheduler.start(number), suggestion)

    def _last_chance(self, left: TimeLeft) -> Promotion | None:
        """The first of the scheduler's candidates that can still end, if it is now or never."""
        for candidate in self.scheduler.candidates():
            if candidate.trial in self._seconds:
                whole = SAFETY * (candidate.stop - candidate.start) * self._seconds[candidate.trial]
                if whole <= left.seconds:
                    if left.seconds > LAST_MOMENT * whole + left.longest_epoch:
                        return None
                    self.scheduler.mark_promoted(candidate.trial, candidate.start, candidate.stop)
                    return candidate
        return None

    def _tell_seconds(self, trial: int, seconds: float | None) -> None:
        if seconds is not None:
            self._seconds[trial] = seconds
            self.sampler.tell_seconds(trial, seconds)

    def tell(self, outcome: Outcome) -> None:
        """Tell scheduler and sampler at once."""
        if outcome.state in (None, "complete"):
            # A trial that stopped early takes its place at the rung it was on its way to.
            stopped = self.scheduler.report(outcome.trial, outcome.stop, outcome.values)
            if stopped and outcome.state is None:
                self._stopped.append(outcome.trial)
        self._tell_seconds(outcome.trial, outcome.seconds)
        if outcome.state is not None:
            self.scheduler.end(outcome.trial, outcome.state)
            self.sampler.finish(outcome.trial, outcome.state, outcome.final, outcome.scores)
        elif outcome.scores:
            self.sampler.pause(outcome.trial, outcome.scores)

    def take_stopped(self) -> list[int]:
        """Trials that a result has stopped for good since the last call."""
        stopped, self._stopped = self._stopped, []
        return stopped

    def restore(
        self,
        state: StudyState,
        records: Sequence[LogRecord],
        values_at: Callable[[Trial, int], Values],
    ) -> Restored:
        """Take over what a study's log holds.

        The scheduler hears it in the log's order: what an Optuna pruner says of a trial depends on what was
        known by then.

        Args:
            state: the study so far.
            records: its event log.
            values_at: a trial's objectives at one of its epochs.
        """
        left_out = 0
        for trial in state.trials.values():
            self.started += 1
            left_out += not self.sampler.restore(trial, state.scores(trial, trial.reached))
            self._tell_seconds(trial.number, trial.epoch_seconds)
        firsts, ended, stopped = self._replay(state, records, values_at)
        unfinished: list[tuple[int, int]] = []
        for trial in state.trials.values():
            target = trial.target or firsts[trial.number]
            if trial.state in ("complete", "pruned", "failed"):
                if trial.number not in ended:  # it has ended since the log was opened
                    self.scheduler.end(trial.number, trial.state)
            elif trial.reached < target:
                unfinished.append((trial.number, target))
            elif trial.number in stopped:
                self._stopped.append(trial.number)
        return Restored(unfinished, left_out)

    def _replay(
        self,
        state: StudyState,
        records: Sequence[LogRecord],
        values_at: Callable[[Trial, int], Values],
    ) -> tuple[dict[int, int], set[int], set[int]]:
        """Tell the scheduler of every start, result and end.

        Returns:
            The first epoch that each trial was to reach; trials that have ended; trials that their last
            result stopped.
        """
        firsts: dict[int, int] = {}
        stops: dict[int, int] = {}
        ended: set[int] = set()
        stopped: set[int] = set()
        for record in records:
            event = record.event
            if isinstance(event, TrialStarted):
                firsts[event.trial] = self.scheduler.start(event.trial)
            elif isinstance(event, SegmentStarted):
                stops[event.trial] = event.stop
                stopped.discard(event.trial)
                if event.start > 0:
                    self.scheduler.mark_promoted(event.trial, event.start, event.stop)
            elif isinstance(event, SegmentEnded) and (event.over or event.epoch == stops[event.trial]):
                # A trial that stopped early takes its place at the rung it was on its way to.
                values = values_at(state.trials[event.trial], event.epoch)
                if self.scheduler.report(event.trial, stops[event.trial], values) and not event.over:
                    stopped.add(event.trial)
            elif isinstance(event, TrialEnded):
                self.scheduler.end(event.trial, event.state)
                ended.add(event.trial)
        return firsts, ended, stopped


@dataclass(frozen=True, slots=True)
class Restored:
    """What a study that goes on has left to do."""

    unfinished: list[tuple[int, int]]
    """Trials whose segment was cut off, and the epochs it was to reach."""
    left_out: int
    """Trials of an earlier space that do not fit the present one."""
