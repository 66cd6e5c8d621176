"""Which segment a worker gets next: interrupted ones, promotions, and new trials, by the policy's choices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from harness.errors import StudyError
from harness.records import Annealing, Segment
from harness.study.limits import epochs_trained
from harness.study.trial import Trial
from harness.sweeping.affinity import Affinity
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.outcomes import known_outcome, next_segment, values_after
from harness.sweeping.plan import SweepPlan
from harness.sweeping.policy import Choice, Outcome, Policy, TimeLeft
from harness.sweeping.replicates import ReplicatesPolicy
from harness.sweeping.workers import Workers
from harness.sweeping.writer import StudyWriter


@dataclass(slots=True)
class Dispatcher:
    """Hands segments to idle workers."""

    plan: SweepPlan
    writer: StudyWriter
    policy: Policy
    workers: Workers
    note: Callable[[str], None]
    """Told what a person should know."""
    _affinity: Affinity = field(init=False)
    """Segments that wait for a worker: interrupted ones, and some for which a busy worker is better."""
    _postponed: Choice | None = None
    """A trial that is to go on when its checkpoint is durable."""
    _goals: dict[int, int] = field(default_factory=dict)
    """By trial, the epoch that it is to reach, fold by fold."""
    _told: set[tuple[int, int]] = field(default_factory=set)
    """Trials and stops of the segments whose outcomes the policy has been told."""

    def __post_init__(self) -> None:
        """Nothing waits yet."""
        self._affinity = Affinity(self.workers.number)
        self.workers.before_sending = self.writer.commit

    def take_up(self, left: TimeLeft | None) -> None:
        """Go on from what the log already holds; in ordered mode every decision is taken again instead.

        Args:
            left: what is left of the study's time limit.
        """
        if not isinstance(self.policy, AsynchronousPolicy | ReplicatesPolicy):
            return
        state, log = self.writer.state, self.writer.log
        restored = self.policy.restore(
            state, log.records, lambda trial, epoch: values_after(self.plan, trial, epoch), left
        )
        for number, stop in restored.unfinished:
            self.add(number, stop)
        if restored.left_out:
            carried = len(state.trials) - restored.left_out
            self.note(
                f"The space has been edited: {carried} earlier trials fit it and are carried over; "
                f"{restored.left_out} do not, so they stay on the leaderboard but the sampler does not see "
                "them."
            )

    def hand_out(self, left: Callable[[], TimeLeft | None]) -> None:
        """Give every idle worker a segment, as far as there are any.

        Args:
            left: what is left of the study's time limit.
        """
        self._affinity.workers = self.workers.present
        while (idle := self.workers.idle) and self._epochs_left() > 0:
            taken = self._affinity.take(idle, lambda: self._choose_segment(left))
            if taken is None:
                break
            worker, segment = taken
            if not self.workers.is_idle(worker):  # it was asked for a cost and is gone: a fresh one starts
                self.forget(worker)
                self._affinity.add(segment)
                continue
            segment = self._granted(self._in_time(segment, left()))
            self.writer.segment_started(segment, worker)
            self.workers.give(worker, segment)
        self.workers.send()

    def add(self, trial: int, stop: int) -> None:
        """Let the segment that takes a trial to the epoch `stop`, or to its fold's end, wait for a worker."""
        self._affinity.add(self._segment(self.writer.state.trials[trial], stop))

    def go_on(self, trial: int, reached: int) -> None:
        """Let the rest wait for a worker, if the trial is to go on from the epoch that it has reached.

        That is so at the end of a fold, or where others have left epochs that were promised to them.
        """
        if reached < self._goals[trial]:
            self.add(trial, self._goals[trial])

    def forget(self, worker: int) -> None:
        """The worker is a fresh one, which has compiled nothing."""
        self._affinity.forget(worker)

    def is_unfinished(self, trial: int) -> bool:
        """Whether a segment of the trial waits, is trained, or is still written."""
        return self._affinity.has(trial) or self.workers.has(trial)

    def tell(self, found: Outcome) -> None:
        """Let the policy know what came of a segment, once."""
        if (found.trial, found.stop) not in self._told:
            self._told.add((found.trial, found.stop))
            self.policy.tell(found)

    def _epochs_left(self) -> float:
        """Epochs of the study's budget that are neither trained nor promised to a worker."""
        most = self.plan.experiment.budget.max_epochs_total
        if most is None:
            return math.inf
        trials = self.writer.state.trials
        running = (worker.training for worker in self.workers.busy if worker.training)
        promised = sum(
            max(0, (one.granted or one.stop) - max(one.start, trials[one.trial].last_epoch))
            for one in running
        )
        return most - epochs_trained(self.writer.state) - promised

    def _in_time(self, segment: Segment, left: TimeLeft | None) -> Segment:
        """The segment, which ends its trial early if that is all there is time for by now.

        It may have waited since it was chosen; and what goes on may have been cut off in an earlier session.
        """
        trial = self.writer.state.trials[segment.trial]
        if left is None or trial.annealing is not None or not isinstance(self.policy, AsynchronousPolicy):
            return segment
        annealing = self.policy.shortened(segment.trial, segment.start, segment.stop, left)
        return self._segment(trial, annealing.stop, annealing) if annealing else segment

    def _granted(self, segment: Segment) -> Segment:
        """The segment, which ends early if no more epochs are left for it."""
        trained = max(segment.start, self.writer.state.trials[segment.trial].last_epoch)
        last = trained + self._epochs_left()
        return replace(segment, granted=int(last)) if last < segment.stop else segment

    def _choose_segment(self, left: Callable[[], TimeLeft | None]) -> Segment | None:
        """The next segment whose outcome is not known yet; None if there is none for now."""
        while (choice := self._choose(left)) is not None:
            trial = self.writer.state.trials[choice.trial]
            known = known_outcome(self.plan, trial, choice.stop)
            if known is not None:
                self.tell(known)
            elif self.is_unfinished(choice.trial):
                self._postponed = choice
                return None
            else:
                return self._segment(trial, choice.stop, choice.annealing)
        return None

    def _segment(self, trial: Trial, stop: int, annealing: Annealing | None = None) -> Segment:
        self._goals[trial.number] = max(stop, self._goals.get(trial.number, 0))
        return next_segment(self.plan, trial, stop, self.policy.cycles(trial.number), annealing)

    def _choose(self, left: Callable[[], TimeLeft | None]) -> Choice | None:
        """A trial and the epoch that it is to reach next; a new trial is written down.

        Raises:
            StudyError: in ordered mode, an earlier decision would be another one now.
        """
        postponed, self._postponed = self._postponed, None
        if postponed is not None:
            return postponed
        choice = self.policy.ask(left())
        begun = choice.suggestion.params if choice is not None and choice.suggestion is not None else None
        for refused in self.policy.take_refused():
            self.writer.configuration_refused(refused)
            if refused.known_as and refused.params != begun:
                self.note(refused.sentence)
        if choice is not None and choice.note:
            self.note(choice.note)
        if choice is None or choice.suggestion is None:
            return choice
        trial = self.writer.state.trials.get(choice.trial)
        if trial is None:
            self.writer.trial_started(choice.trial, choice.suggestion)
        elif trial.params != choice.suggestion.params:
            raise StudyError(
                f"The decisions of this study cannot be repeated in order: trial {trial.number} "
                "would get another configuration now. The space, the studies it learns from or the "
                "version of harness or Optuna have changed; start a new study."
            )
        return choice
