"""What to run next: the sampler's and the scheduler's answers, as results come or strictly in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.records import LogRecord, SegmentEnded, SegmentStarted, TrialEnded, TrialStarted, TrialState
from harness.sweep.history import History, TrialHistory
from harness.sweep.scheduler import Promotion, Scheduler, Values

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweep.sampler import Sampler, Suggestion


@dataclass(frozen=True, slots=True)
class Choice:
    """The next segment: this trial, up to this epoch."""

    trial: int
    stop: int
    suggestion: Suggestion | None = None
    """The configuration, of a new trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a segment."""

    trial: int
    stop: int
    """The epoch the segment was to reach."""
    values: Values
    """All objectives at the epoch it did reach, larger-is-better; NaN where they are not known."""
    scores: Mapping[int, float]
    """The first objective as it is, by epoch until then, where it is finite."""
    state: TrialState | None = None
    """How the trial ended; None if it is paused."""
    final: list[float] | None = None
    """All objectives as they are, once the trial has ended."""
    seconds: float | None = None
    """What an epoch of the trial takes; None if none has ended."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Of a study with a time limit."""

    seconds: float
    limit: float
    longest_epoch: float = 0.0
    """Seconds of the session's longest epoch, compiling included: another segment may take as long."""

    @property
    def share(self) -> float:
        """Of the limit, from 1 at the beginning to 0 at the end."""
        return max(0.0, min(1.0, self.seconds / self.limit))


LAST_MOMENT = 1.5
"""The last training to the end begins when so many times its seconds, and the longest epoch's, are left."""
SAFETY = 1.05
"""For what an epoch takes beside its own seconds."""


class Decisions(Protocol):
    """Told what came of each segment, asked for the next one."""

    def choose(self, left: TimeLeft | None) -> Choice | None:
        """The next segment; None if there is none before another outcome is known.

        Args:
            left: until the study's time limit; None without one.
        """

    def learn(self, outcome: Outcome) -> None:
        """Take in what came of a segment."""

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been tried."""

    def take_stopped(self) -> list[int]:
        """Trials that a result has stopped for good since the last call."""


@dataclass(slots=True)
class AsResultsCome:
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

    def choose(self, left: TimeLeft | None) -> Choice | None:
        """A promotion if one was earned, else a new trial.

        Shortly before a time limit, the best paused trials that can still be trained to the end come first:
        whoever gives a sweep so many minutes wants a model at their end.
        """
        all_started = self.exhausted or self.started >= self.trials
        promotion = self._last_chance(left) if left else None
        promotion = promotion or self.scheduler.promotion(all_started=all_started)
        if promotion is not None:
            return Choice(promotion.trial, promotion.stop)
        if all_started:
            return None
        suggestion = self.sampler.ask(self.started, thrift=left.share if left else 0.0)
        if suggestion is None:
            self.exhausted = True
            return self.choose(left)  # what has been tried may still earn a promotion
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
                    self.scheduler.go_on(candidate.trial, candidate.start, candidate.stop)
                    return candidate
        return None

    def _time(self, trial: int, seconds: float | None) -> None:
        if seconds is not None:
            self._seconds[trial] = seconds
            self.sampler.time(trial, seconds)

    def learn(self, outcome: Outcome) -> None:
        """Tell scheduler and sampler at once."""
        if outcome.state in (None, "complete"):
            # A trial that stopped early takes its place at the rung it was on its way to.
            stopped = self.scheduler.report(outcome.trial, outcome.stop, outcome.values)
            if stopped and outcome.state is None:
                self._stopped.append(outcome.trial)
        self._time(outcome.trial, outcome.seconds)
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
        history: History,
        records: Sequence[LogRecord],
        values_at: Callable[[TrialHistory, int], Values],
    ) -> Restored:
        """Take over what a study's log holds.

        The scheduler hears it in the log's order: what an Optuna pruner says of a trial depends on what was
        known by then.

        Args:
            history: the study so far.
            records: its event log.
            values_at: a trial's objectives at one of its epochs.
        """
        left_out = 0
        for trial in history.trials.values():
            self.started += 1
            left_out += not self.sampler.restore(trial, history.scores(trial, trial.reached))
            self._time(trial.number, trial.epoch_seconds)
        firsts, ended, stopped = self._replay(history, records, values_at)
        unfinished: list[tuple[int, int]] = []
        for trial in history.trials.values():
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
        history: History,
        records: Sequence[LogRecord],
        values_at: Callable[[TrialHistory, int], Values],
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
                    self.scheduler.go_on(event.trial, event.start, event.stop)
            elif isinstance(event, SegmentEnded) and (event.over or event.epoch == stops[event.trial]):
                # A trial that stopped early takes its place at the rung it was on its way to.
                values = values_at(history.trials[event.trial], event.epoch)
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


@dataclass(slots=True)
class InOrder:
    """Decision k uses exactly the outcomes of the segments 0 … k − `window`, in that order.

    So the study is the same whatever the timing. A worker may have to wait for a slow older segment; where
    nothing can be decided, the next oldest outcome is taken in, until something can.
    """

    decisions: AsResultsCome
    window: int
    _out: deque[tuple[int, int]] = field(default_factory=deque)
    """Trial and stop of the segments whose outcomes have not been used yet, oldest first."""
    _arrived: dict[tuple[int, int], Outcome] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been tried."""
        return self.decisions.exhausted

    def choose(self, left: TimeLeft | None) -> Choice | None:
        """The next segment, or None until the oldest one has ended; what time is left must not matter."""
        while len(self._out) >= self.window:
            if not self._use_oldest():
                return None
        while True:
            choice = self.decisions.choose(None)
            if choice is not None:
                self._out.append((choice.trial, choice.stop))
                return choice
            if not self._out or not self._use_oldest():
                return None

    def take_stopped(self) -> list[int]:
        """Trials that a result has stopped for good since the last call."""
        return self.decisions.take_stopped()

    def learn(self, outcome: Outcome) -> None:
        """Keep it until its turn comes."""
        self._arrived[outcome.trial, outcome.stop] = outcome

    def _use_oldest(self) -> bool:
        outcome = self._arrived.pop(self._out[0], None)
        if outcome is None:
            return False
        self._out.popleft()
        self.decisions.learn(outcome)
        return True
