"""The coordinator: the one process that owns a study and writes down all that happens in it.

It asks the policy which trial trains how far, hands segments to idle workers, and turns what they report into
events. Everything else (MLflow, Optuna's storage, the display) follows the event log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.clock import now_ms
from harness.engine.protocol import Reported, WorkerLost, WorkerReady
from harness.records import (
    CheckpointDamaged,
    CheckpointSaved,
    DiskFull,
    EpochEnded,
    FeaturesReady,
    ModelMeasured,
    ModelSaved,
    Pulse,
    Segment,
    SegmentEnded,
    SegmentFailed,
    StoreAway,
    StudyEnded,
    TrainingEnded,
    TrialState,
)
from harness.study.cleanup import remove_unfinished
from harness.study.limits import UsedUp
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.dispatch import Dispatcher
from harness.sweeping.ending import Ending
from harness.sweeping.failures import Failure, Retry, answer, gives_up, is_charged
from harness.sweeping.outcomes import completed_reason, ending, outcome, outcompeted_reason
from harness.sweeping.plan import Stop, SweepPlan
from harness.sweeping.policy import Policy
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.workers import Worker, Workers
from harness.sweeping.writer import StudyWriter

Progressed: TypeAlias = (
    ModelMeasured
    | FeaturesReady
    | EpochEnded
    | CheckpointSaved
    | CheckpointDamaged
    | ModelSaved
    | DiskFull
    | StoreAway
    | Pulse
)


@dataclass(slots=True)
class Coordinator:
    """Runs one sweep on an engine that has been started; `run` is called once."""

    plan: SweepPlan
    workers: Workers
    writer: StudyWriter
    policy: Policy
    clock: Stopwatch
    """What the study's time limit is held against."""
    note: Callable[[str], None] = lambda _: None
    """Told what a person should know."""
    on_pulse: Callable[[Pulse], None] = lambda _: None
    """Told how far a worker is within an epoch."""
    stop: Stop = field(default_factory=Stop)
    gave_up: bool = False
    """The sweep ended because the network's code fails in every trial."""
    _dispatcher: Dispatcher = field(init=False)
    _ending: Ending = field(init=False)
    _tries: Counter[int] = field(default_factory=Counter)
    """By trial, how often its present segment has failed without the configuration being to blame."""
    _alike: Counter[str] = field(default_factory=Counter)
    """Failures of code before anything was trained, by message."""
    _noted: set[str] = field(default_factory=set)
    """What workers keep repeating while a disk is full, or an object store away."""
    _out_of_time: set[int] = field(default_factory=set)
    """Trials that have trained for longer than they may."""
    _stopped: set[int] = field(default_factory=set)
    """Trials that a pruner has stopped, and whose end is still to be written down."""

    def __post_init__(self) -> None:
        """Nothing runs or waits yet."""
        self._dispatcher = Dispatcher(self.plan, self.writer, self.policy, self.workers, self.note)
        budget = self.plan.experiment.budget
        self._ending = Ending(budget, self.state, self.workers, self.clock, self.stop, self.note)

    @property
    def state(self) -> StudyState:
        """The study so far."""
        return self.writer.state

    @property
    def limit(self) -> UsedUp | None:
        """The part of the budget that has ended the sweep."""
        return self._ending.limit

    def run(self) -> StudyEnded:
        """Run the sweep to its end and return its last event.

        Raises:
            EngineError: workers cannot be started.
            StudyError: in ordered mode, earlier decisions cannot be repeated.
        """
        for trial in self.state.trials.values():
            if trial.training_complete and not trial.has_ended:  # it was cut off between two lines of the log
                self.writer.trial_ended(trial, "complete", reason=completed_reason(self.plan, trial))
        self._dispatcher.take_up(self._ending.time_left)
        while True:
            self._end_stopped()
            if self._ending.reason() is None:
                self._dispatcher.hand_out(lambda: self._ending.time_left)
                self._end_stopped()
                if self.workers.at_rest:
                    self._ending.by(self.policy.shortage)
                    break
                self.writer.commit()
            else:
                self.writer.commit()
                if self._ending.is_over():
                    break
            for event in self.workers.listen():
                if isinstance(event, WorkerReady):
                    self.workers.ready(event.worker)
                elif isinstance(event, WorkerLost):
                    self._worker_lost(event)
                else:
                    self._reported(event)
            for event in self.workers.silent():  # only now: who has just spoken is not silent
                self._worker_lost(event)
        return self._finish()

    # What workers say

    def _reported(self, report: Reported) -> None:
        worker, segment = self.workers.meant_by(report)
        event = report.event
        if segment is None:
            return  # a late word about a segment that has been given to another worker
        if isinstance(event, TrainingEnded):
            # The user's own code may take the worker with it, and with that what is still being written.
            if not self.plan.has_plugin:
                self.workers.trained(worker, segment)
            self.workers.look_at_size(worker)
            self._tell_of_training(segment, event)
        elif isinstance(event, SegmentEnded):
            self.workers.through_with(worker, segment)
            self.writer.emit(event, durable=True)
            self._segment_ended(segment, event)
        elif isinstance(event, SegmentFailed):
            writing = worker.training is not segment
            self.workers.through_with(worker, segment)
            self.writer.emit(event, durable=True)
            too_large = event.failure == "out_of_memory" and not writing
            if too_large:
                self._replace(worker)  # with nothing of the large network left in it
            if event.failure == "preempted":
                self.note(f"Trial {segment.trial} goes on from its last checkpoint: {event.message}")
            detail = event.message if too_large else event.traceback
            failure = Failure(
                event.failure, event.message, detail, while_writing=writing, shared=event.shared
            )
            self._failed(segment, failure)
        else:
            self._progressed(worker, segment, event)
        if worker.outgrown and not worker.busy:
            self._replace(worker)

    def _progressed(self, worker: Worker, segment: Segment, event: Progressed) -> None:
        if isinstance(event, Pulse):
            self.on_pulse(event)
            self._limit_time(worker, self.state.trials[segment.trial], event.seconds)
        elif isinstance(event, DiskFull | StoreAway):
            if event.message not in self._noted:
                self._noted.add(event.message)
                self.note(event.message)
        elif isinstance(event, EpochEnded):
            self.workers.epoch_times.learn(segment, event.metrics.get("epoch_seconds", 0.0))
            self.writer.emit(event)
            self._limit_time(worker, self.state.trials[segment.trial])
        elif isinstance(event, CheckpointSaved):
            self.writer.checkpoint_saved(event)
        else:
            self.writer.emit(event, durable=True)
            if isinstance(event, CheckpointDamaged):
                self.note(f"Trial {event.trial}: {event.message}")

    def _limit_time(self, worker: Worker, trial: Trial, running: float = 0.0) -> None:
        """Stop a trial that has trained for too long, `running` being the seconds of its running epoch."""
        limit = self.plan.experiment.search.max_trial_seconds
        if limit is None:
            return
        seconds = running + sum(metrics.get("epoch_seconds", 0.0) for metrics in trial.epochs.values())
        if seconds > limit:
            self._out_of_time.add(trial.number)
            self.workers.stop(worker)

    def _tell_of_training(self, segment: Segment, event: TrainingEnded | SegmentEnded) -> None:
        """What came of it is known, so the next decision can use it, whatever is still written."""
        if event.over:
            state: TrialState | None = "complete"
        elif segment.trial in self._out_of_time:
            state = "pruned"
        elif event.epoch == segment.stop:
            state = None
        else:
            return  # it was stopped on request, and goes on when the study is resumed
        trial = self.state.trials[segment.trial]
        self._dispatcher.tell(outcome(self.plan, trial, segment.stop, event.epoch, state))

    def _segment_ended(self, segment: Segment, event: SegmentEnded) -> None:
        del self._tries[segment.trial]
        trial = self.state.trials[segment.trial]
        self._tell_of_training(segment, event)
        if event.over:
            self.writer.trial_ended(trial, "complete", reason=completed_reason(self.plan, trial))
        elif segment.trial in self._out_of_time:
            limit = self.plan.experiment.search.max_trial_seconds
            self.writer.trial_ended(trial, "pruned", reason=f"trained for more than {limit:g} s")
        else:
            self._dispatcher.go_on(segment.trial, event.epoch)

    # What goes wrong

    def _worker_lost(self, event: WorkerLost) -> None:
        training, writing = self.workers.lost(event)
        self._dispatcher.forget(event.worker)
        for segment in [*([training] if training else []), *writing]:
            remove_unfinished(self.plan.study_folder, segment.trial)
        how = event.reason.split(". ", 1)[0]
        failure = Failure(
            event.failure,
            how,
            event.reason,
            by_loss=True,
            while_writing=training is None,
            shared=event.shared,
        )
        if training is None:
            for segment in writing:
                self._failed(segment, failure)
            return
        if event.failure == "out_of_memory":
            self.writer.out_of_memory(training, event.reason, shared=event.shared)
        elif event.failure == "preempted":
            self.note(f"Trial {training.trial} goes on from its last checkpoint: {how}.")
        self._failed(training, failure)
        for segment in writing:  # at no charge: they are not to blame for the segment that ran
            self._dispatcher.add(segment.trial, segment.stop)

    def _replace(self, worker: Worker) -> None:
        """A fresh worker in place of this one; what it was still writing is done again, at no charge."""
        self.writer.commit()
        self.workers.replace(worker)
        self._dispatcher.forget(worker.number)
        for segment in worker.writing:
            remove_unfinished(self.plan.study_folder, segment.trial)
            self._dispatcher.add(segment.trial, segment.stop)

    def _failed(self, segment: Segment, failure: Failure) -> None:
        self._tries[segment.trial] += is_charged(failure)
        tries = self._tries[segment.trial]
        what = answer(failure, tries=tries, microbatches=segment.microbatches)
        if isinstance(what, Retry):
            if what.at_half_the_batch:
                self.note(f"Trial {segment.trial} ran out of memory and is tried again at half the batch.")
            if what.with_fewer:
                self.note(
                    f"Trial {segment.trial} ran out of memory on a GPU that others share, and is tried again "
                    "as it is: fewer share it now."
                )
            self._dispatcher.add(segment.trial, segment.stop)
            return
        if failure.kind == "user_code":
            self._consider_giving_up(failure.message)
        trial = self.state.trials[segment.trial]
        self.writer.trial_ended(
            trial, "failed", reason=what.reason, failure=failure.kind, traceback=failure.detail
        )
        self._dispatcher.tell(outcome(self.plan, trial, segment.stop, trial.last_epoch, "failed"))

    def _consider_giving_up(self, message: str) -> None:
        """When the code fails from the start, it will fail in every trial."""
        if not any(trial.epochs for trial in self.state.trials.values()):
            self._alike[message] += 1
            if gives_up(self._alike[message], plugin=self.plan.has_plugin):
                self.stop.reason, self.stop.immediately, self.gave_up = message, True, True

    # Ends

    def _end_stopped(self) -> None:
        """End the trials that a pruner has stopped, as soon as nothing of them is being written any more."""
        self._stopped.update(self.policy.take_stopped())
        if not self._stopped:
            return
        for number in sorted(self._stopped):
            if self._dispatcher.is_unfinished(number):
                continue
            self._stopped.discard(number)
            trial = self.state.trials[number]
            if trial.state == "paused":
                self.writer.trial_ended(
                    trial, "pruned", reason=f"stopped by the pruner at epoch {trial.reached}"
                )

    def _finish(self) -> StudyEnded:
        """End what is paused for good, or leave it for a resume, and close the study."""
        complete = self.stop.reason is None
        if complete:
            for trial in list(self.state.trials.values()):
                if trial.state == "paused":
                    self.writer.trial_ended(trial, "pruned", reason=outcompeted_reason(trial))
        reason = self.stop.reason or ending(self.plan, self.state, exhausted=self.policy.exhausted)
        ended = StudyEnded(reason=reason, complete=complete, time=now_ms())
        self.writer.emit(ended, durable=True)
        self.writer.commit()
        return ended
