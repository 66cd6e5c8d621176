"""The asynchronous policy: every decision uses all that is known by then."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.records import (
    Annealing,
    ConfigurationRefused,
    LogRecord,
    SegmentEnded,
    SegmentStarted,
    TrialEnded,
    TrialStarted,
)
from harness.schedulers.protocol import Promotion, Scheduler, Values
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.admission import LAST_MOMENT, Admission
from harness.sweeping.beginning import NewTrials
from harness.sweeping.last_cycles import LastCycles, least_epochs
from harness.sweeping.policy import Choice, Outcome, TimeLeft
from harness.sweeping.refused import Refused, Shortage
from harness.sweeping.underway import Underway

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Sampler


@dataclass(slots=True)
class AsynchronousPolicy:
    """Every decision uses all that is known by then."""

    sampler: Sampler
    scheduler: Scheduler
    trials: int
    """The study's total."""
    admission: Admission = field(default_factory=Admission)
    """What may be begun, by what is known of costs."""
    anneals: bool = False
    """Whether the best trials are trained to their ends early in the last part of a time limit."""
    trial_seconds: float = math.inf
    """What a trial may train in all."""
    started: int = 0
    """Trials so far."""
    _new: NewTrials = field(init=False)
    _underway: Underway = field(init=False)
    _last: LastCycles = field(init=False)
    _annealed: set[int] = field(default_factory=set)
    """Trials that are, or were, trained to their ends early: they are not compared with others at rungs."""
    _stopped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nothing has begun."""
        self._new = NewTrials(self.sampler, self.admission)
        rungs = self.scheduler.rungs
        least = least_epochs(rungs) if self.anneals else rungs[-1]
        self._underway = Underway(self.admission.costs, rungs[-1], least, self.trial_seconds)
        self._last = LastCycles(self.scheduler, self._underway)

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been tried."""
        return self._new.exhausted

    @property
    def shortage(self) -> Shortage | None:
        """Why nothing new can be begun although configurations are left; None if something can."""
        return None if self.started >= self.trials else self._new.shortage

    def ask(self, left: TimeLeft | None) -> Choice | None:
        """A promotion if one was earned, else a new trial that can be trained in time.

        Shortly before a time limit, the best paused trials that can still be trained to the end come first:
        whoever gives a sweep so many minutes wants a model at their end. So they do when nothing new can be
        begun. With `anneals`, they need not come to the end of a full training (see `LastCycles`).
        """
        if self.anneals and left is not None:
            return self._ask_in_time(left)
        promotion = self._to_the_end(left, LAST_MOMENT) if left else None
        promotion = promotion or self.scheduler.promote_next(all_started=self._all_started)
        if promotion is None and not self._all_started:
            choice = self._begin(left)
            if choice is not None:
                return choice
            if left and self._new.shortage:
                promotion = self._to_the_end(left, math.inf)
            # What has been tried may still earn a promotion.
            promotion = promotion or self.scheduler.promote_next(all_started=True)
        if promotion is None:
            return None
        self._underway.hand_out(promotion.trial, promotion.start, left)
        return Choice(promotion.trial, promotion.stop)

    def _ask_in_time(self, left: TimeLeft) -> Choice | None:
        """The last epochs of a trial if it is time for them; else what leaves enough time for them."""
        last = self._last.due(left)
        if last is not None:
            return self._train_to_the_end(last, left)
        promotion = self.scheduler.promote_next(all_started=self._all_started)
        before = replace(left, seconds=left.seconds - self._last.kept(left))
        if promotion is None and not self._all_started:
            choice = self._begin(before)
            if choice is not None:
                return choice
            promotion = self.scheduler.promote_next(all_started=True)
            if promotion is None and self._new.shortage:
                last = self._last.best(left)
        if promotion is not None:
            if self._last.farthest(promotion.trial, promotion.start, before) >= promotion.stop:
                self._underway.hand_out(promotion.trial, promotion.start, left)
                return Choice(promotion.trial, promotion.stop)
            last = self._last.best(left)
        return self._train_to_the_end(last, left) if last is not None else None

    def _train_to_the_end(self, last: Promotion, left: TimeLeft) -> Choice:
        """The trial's last segment, to its end or as near to it as it gets."""
        self.scheduler.mark_promoted(last.trial, last.start, last.stop)
        self._underway.hand_out(last.trial, last.start, left)
        if last.stop >= self.scheduler.rungs[-1]:
            return Choice(last.trial, last.stop)
        self._annealed.add(last.trial)
        return Choice(last.trial, last.stop, annealing=Annealing(start=last.start, stop=last.stop))

    def shortened(self, trial: int, start: int, stop: int, left: TimeLeft) -> Annealing | None:
        """How a trial is trained to its end early, if its segment would not end in time; None if it would.

        Args:
            trial: that is about to be trained on.
            start: the epoch from which it is; 0 of a new one, as of those that Hyperband judges late.
            stop: the epoch that it is to reach.
            left: what is left of the time limit.
        """
        if not self.anneals:
            return None
        farthest = self._last.farthest(trial, start, left)
        if not start < farthest < stop:
            return None
        self._annealed.add(trial)
        return Annealing(start=start, stop=farthest)

    @property
    def _all_started(self) -> bool:
        return self.exhausted or self.started >= self.trials

    def _begin(self, left: TimeLeft | None) -> Choice | None:
        possible = left is None or self._underway.whole_is_possible(left)
        number = self.started
        suggestion = self._new.choose(number, left, whole_is_possible=possible)
        if suggestion is None:
            return None
        self.started += 1
        self._underway.begin(number, suggestion.params, left)
        return Choice(number, self.scheduler.start(number), suggestion, self._new.note)

    def cycles(self, trial: int) -> tuple[int, ...]:
        """Those of the scheduler."""
        return self.scheduler.cycles(trial)

    def _to_the_end(self, left: TimeLeft, moment: float) -> Promotion | None:
        """The first of the scheduler's candidates that can still end, if it is time for it.

        Args:
            left: what is left of the time limit.
            moment: how many times its seconds are left when it is time.
        """
        for candidate in self.scheduler.candidates():
            end = candidate.end or candidate.stop
            whole = self._underway.seconds_to(candidate.trial, candidate.start, end)
            own = self._underway.own_seconds(candidate.trial, candidate.start)
            if whole is not None and whole <= min(left.seconds, own):
                if left.seconds > moment * whole + left.longest_epoch:
                    return None
                self.scheduler.mark_promoted(candidate.trial, candidate.start, candidate.stop)
                return candidate
        return None

    def tell(self, outcome: Outcome) -> None:
        """Tell scheduler and sampler at once."""
        if outcome.state in (None, "complete") and outcome.trial not in self._annealed:
            # A trial that stopped early takes its place at the rung it was on its way to.
            stopped = self.scheduler.report(outcome.trial, outcome.stop, outcome.values)
            if stopped and outcome.state is None:
                self._stopped.append(outcome.trial)
        self._underway.tell(outcome)
        if outcome.seconds is not None:
            self.sampler.tell_seconds(outcome.trial, outcome.seconds)
        if outcome.state is not None:
            self.scheduler.end(outcome.trial, outcome.state)
            self.sampler.finish(outcome.trial, outcome.state, outcome.final, outcome.scores)
        elif outcome.scores:
            self.sampler.pause(outcome.trial, outcome.scores)

    def take_refused(self) -> list[Refused]:
        """Configurations that were suggested since the last call and may not be begun, in their order."""
        return self._new.take_refused()

    def take_stopped(self) -> list[int]:
        """Trials that a result has stopped for good since the last call."""
        stopped, self._stopped = self._stopped, []
        return stopped

    def restore(
        self,
        state: StudyState,
        records: Sequence[LogRecord],
        values_at: Callable[[Trial, int], Values],
        left: TimeLeft | None = None,
    ) -> Restored:
        """Take over what a study's log holds.

        The scheduler hears it in the log's order: what an Optuna pruner says of a trial depends on what was
        known by then.

        Args:
            state: the study so far.
            records: its event log.
            values_at: a trial's objectives at one of its epochs.
            left: what is left of the study's time limit; None for a study without one.
        """
        left_out = 0
        refused: dict[int, list[ConfigurationRefused]] = {}
        for event in state.refused:
            refused.setdefault(event.number, []).append(event)
        for trial in state.trials.values():
            self.started += 1
            self._new.restore(refused.pop(trial.number, []), left)
            left_out += not self.sampler.restore(trial, state.scores(trial, trial.reached))
            self._underway.restore(trial, values_at(trial, trial.reached), left)
            if trial.annealing is not None:
                self._annealed.add(trial.number)
            if trial.epoch_seconds is not None:
                self.sampler.tell_seconds(trial.number, trial.epoch_seconds)
        for number in sorted(refused):
            self._new.restore(refused[number], left)
        self._new.restore_begun(trial.params for trial in state.trials.values())
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
        annealed: set[int] = set()
        for record in records:
            event = record.event
            if isinstance(event, TrialStarted):
                firsts[event.trial] = self.scheduler.start(event.trial)
            elif isinstance(event, SegmentStarted):
                stops[event.trial] = event.stop
                stopped.discard(event.trial)
                if event.annealing is not None:
                    annealed.add(event.trial)
                if event.start > 0:
                    self.scheduler.mark_promoted(event.trial, event.start, event.stop)
            elif isinstance(event, SegmentEnded) and (event.over or event.epoch == stops[event.trial]):
                if event.trial in annealed:
                    continue
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
