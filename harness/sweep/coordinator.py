"""The coordinator: the one process that owns a study and writes down all that happens in it.

It asks the sampler for configurations, lets the scheduler decide which trial trains how far, hands
segments to idle workers, and turns what they report into events. Everything else (Optuna storage,
MLflow, the console) follows the event log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from harness.clock import now_ms
from harness.engine.protocol import Engine, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.errors import EngineError, StudyError
from harness.paths import StudyPaths
from harness.records import (
    CheckpointDamaged,
    CheckpointSaved,
    Dataset,
    DiskFull,
    EpochEnded,
    Event,
    FailureKind,
    LogRecord,
    ModelMeasured,
    ModelSaved,
    Precision,
    Segment,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyEnded,
    TrainingEnded,
    TrialEnded,
    TrialStarted,
    TrialState,
    WorkerEvent,
)
from harness.sweep import silence
from harness.sweep.budget import Budget, UsedUp, used_up
from harness.sweep.decisions import AsResultsCome, InOrder, Outcome, TimeLeft
from harness.sweep.event_log import EventLog
from harness.sweep.history import MICROBATCHES, History, TrialHistory
from harness.sweep.leftovers import remove_checkpoints, remove_unfinished
from harness.sweep.placement import Placement
from harness.sweep.scheduler import Values
from harness.sweep.silence import EpochTimes

if TYPE_CHECKING:
    from harness.sweep.sampler import Suggestion

POLL_SECONDS = 0.25
RETRIES = 2
"""How often a segment is tried again after its worker was lost."""
ALIKE_FAILURES = 3
"""Equal failures of the code, before anything was trained, after which the sweep gives up."""
START_FAILURES = 3
"""Workers that may die before their first segment, in a row, before the sweep gives up."""

Follow = Callable[[LogRecord], None]
Progressed: TypeAlias = (
    ModelMeasured | EpochEnded | CheckpointSaved | CheckpointDamaged | ModelSaved | DiskFull
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep is to do."""

    study_folder: Path
    dataset: Dataset
    seed: int
    trials: int
    """The study's total."""
    max_epochs: int
    objectives: list[tuple[str, bool]]
    """Metric, and whether larger is better; trials are ranked by the first."""
    precision: Precision = "float32"
    """What layers compute with in training."""
    limits: dict[str, float] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    """When it is used up, running segments end at their next epoch."""
    max_trial_seconds: float | None = None
    """Training time after which a trial is ended at its next epoch."""
    hang_seconds: float | None = None
    """How long a worker may say nothing, whatever it does; None: see `harness.sweep.silence`."""
    evaluate_test: bool = False
    generation: int = 1
    plugin: bool = False
    """The network is the user's own code: if it fails at once, it is told at once."""

    @property
    def metric(self) -> str:
        """The first objective."""
        return self.objectives[0][0]

    @property
    def maximize(self) -> bool:
        """Whether larger values of the first objective are better."""
        return self.objectives[0][1]

    @property
    def measure(self) -> tuple[str, ...]:
        """What must be known of a network before it is trained."""
        wanted = {metric for metric, _ in self.objectives} | self.limits.keys()
        return tuple(name for name in ("parameters", "latency_ms") if name in wanted)


@dataclass(slots=True)
class Stop:
    """Why the sweep is ending early; set from outside (a signal) or when the budget is used up."""

    reason: str | None = None
    now: bool = False
    """Do not wait for the running epochs."""


@dataclass(slots=True)
class Coordinator:
    """Runs one sweep on an engine that has been started; `run` is called once."""

    plan: SweepPlan
    engine: Engine
    log: EventLog
    history: History
    """Folded from the log so far; kept up to date with every event."""
    decisions: AsResultsCome | InOrder
    followers: Sequence[Follow] = ()
    note: Callable[[str], None] = lambda _: None
    """Told what a person should know."""
    stop: Stop = field(default_factory=Stop)
    gave_up: bool = False
    """The sweep ended because the network's code fails in every trial."""
    limit: UsedUp | None = None
    """The part of the budget that has ended the sweep."""
    _began: float = 0.0
    """When this session's training began, on the monotonic clock."""
    _idle: set[int] = field(default_factory=set)
    _running: dict[int, Segment] = field(default_factory=dict)
    """Segments by worker."""
    _writing: dict[int, list[Segment]] = field(default_factory=dict)
    """By worker, segments whose training is over, but whose last file is not durable yet."""
    _outgrown: set[int] = field(default_factory=set)
    """Workers that are to be replaced when their last file is durable."""
    _postponed: tuple[int, int] | None = None
    """A trial that is to go on (to this epoch) when its checkpoint is durable."""
    _learned: set[tuple[int, int]] = field(default_factory=set)
    """Trials and stops of the segments whose outcomes are known to the decisions."""
    _placement: Placement = field(init=False)
    """Segments that wait for a worker: interrupted ones, and some for which a busy worker is better."""
    _retries: dict[int, int] = field(default_factory=dict)
    """Workers lost in the current segment, by trial."""
    _heard: dict[int, float] = field(default_factory=dict)
    """When each busy worker last said something (or was given its segment), by `_listened`."""
    _listened: float = 0.0
    """Seconds spent listening: while the event log's disk is full, nobody hears the workers."""
    _times: EpochTimes = field(default_factory=EpochTimes)
    _watched: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By silent worker: since when it is watched, by `_listened`, and its processor seconds by then."""
    _start_failures: int = 0
    _alike: dict[str, int] = field(default_factory=dict)
    """Failures of code before anything was trained, by message."""
    _said: set[str] = field(default_factory=set)
    """What workers keep repeating while a disk is full."""
    _out_of_time: set[int] = field(default_factory=set)
    """Trials that have trained for longer than they may."""
    _stopped: set[int] = field(default_factory=set)
    """Trials that a pruner has stopped, and whose end is still to be written down."""

    def __post_init__(self) -> None:
        """Nothing is compiled yet, and nothing waits."""
        self._placement = Placement(self.engine.workers)

    def run(self) -> StudyEnded:
        """Run the sweep to its end and return its last event.

        Raises:
            EngineError: workers cannot be started.
            StudyError: in ordered mode, earlier decisions cannot be repeated.
        """
        self._take_up()
        self._began = time.monotonic()
        asked_to_stop = False
        while True:
            self._end_stopped()
            if self.stop.reason is None:
                self.limit = used_up(self.plan.budget, self.history, self._elapsed())
                self.stop.reason = self.limit.reason if self.limit else None
            if self.stop.reason is None:
                self._hand_out()
                self._end_stopped()
                if self._idle and not self._busy():
                    break  # nothing is left to hand out
            elif not self._busy() or self.stop.now:
                break
            elif not asked_to_stop:
                asked_to_stop = True
                for worker in self._busy():
                    self.engine.stop_segment(worker)
            for event in self._listen():
                self._handle(event)
            self._replace_silent()
        return self._finish()

    def _elapsed(self) -> float:
        """Seconds that the study has taken, without the time between its sessions."""
        return self.history.spent + time.monotonic() - self._began

    def _left(self) -> TimeLeft | None:
        limit = self.plan.budget.timeout
        if limit is None:
            return None
        return TimeLeft(limit - self._elapsed(), limit, self._times.longest or 0.0)

    def _listen(self) -> list[EngineEvent]:
        began = time.monotonic()
        heard = self.engine.poll(POLL_SECONDS)
        self._listened += time.monotonic() - began
        return heard

    def _take_up(self) -> None:
        """Go on from what the log already holds."""
        for trial in self.history.trials.values():
            if trial.over and trial.ended is None:  # it was cut off between two lines of the log
                self._complete(trial)
        if isinstance(self.decisions, InOrder):
            return  # every decision is taken again, in its order
        restored = self.decisions.restore(self.history, self.log.records, self._values_at)
        for number, stop in restored.unfinished:
            self._placement.add(self._segment(self.history.trials[number], stop))
        if restored.left_out:
            carried = len(self.history.trials) - restored.left_out
            self.note(
                f"The space has been edited: {carried} earlier trials fit it and are carried over; "
                f"{restored.left_out} do not, so they stay on the leaderboard but the sampler does not see "
                "them."
            )

    def _busy(self) -> list[int]:
        """Workers that train or write."""
        return [*self._running, *(worker for worker in self._writing if worker not in self._running)]

    def _hand_out(self) -> None:
        while self._idle and (given := self._placement.take(self._idle, self._next_segment)) is not None:
            worker, segment = given
            self._idle.discard(worker)
            self._running[worker] = segment
            self._emit(
                SegmentStarted(
                    trial=segment.trial,
                    attempt=segment.attempt,
                    start=segment.start,
                    stop=segment.stop,
                    worker=worker,
                    microbatches=segment.microbatches,
                    time=now_ms(),
                )
            )
            self._heard[worker] = self._listened
            self.engine.submit(worker, segment)

    def _next_segment(self) -> Segment | None:
        while (choice := self._choose()) is not None:
            number, stop = choice
            trial = self.history.trials[number]
            known = self._known_outcome(trial, stop)
            if known is not None:
                self._learn(known)
            elif any(segment.trial == number for segment in self._unfinished()):
                self._postponed = choice
                return None
            else:
                return self._segment(trial, stop)
        return None

    def _unfinished(self) -> list[Segment]:
        """Segments that are waiting, running, or still written."""
        written = [segment for segments in self._writing.values() for segment in segments]
        return [*self._placement.waiting, *self._running.values(), *written]

    def _choose(self) -> tuple[int, int] | None:
        """A trial and the epoch that it is to reach next; a new trial is written down."""
        postponed, self._postponed = self._postponed, None
        if postponed is not None:
            return postponed
        choice = self.decisions.choose(self._left())
        if choice is None:
            return None
        if choice.suggestion is not None:
            trial = self.history.trials.get(choice.trial)
            if trial is None:
                self._start_trial(choice.trial, choice.suggestion)
            elif trial.params != choice.suggestion.params:
                raise StudyError(
                    f"The decisions of this study cannot be repeated in order: trial {trial.number} "
                    "would get another configuration now. The space, the studies it learns from or the "
                    "version of harness or Optuna have changed; start a new study."
                )
        return choice.trial, choice.stop

    def _known_outcome(self, trial: TrialHistory, stop: int) -> Outcome | None:
        """What the log says of a segment that was run in an earlier session; None if it was not."""
        went_on = trial.ended is None or trial.state == "pruned" or trial.target > stop
        if trial.reached >= stop and went_on:
            return self._outcome(trial, stop, stop)
        if trial.state in ("complete", "pruned", "failed"):
            return self._outcome(trial, stop, max(trial.epochs, default=0), trial.state)
        return None

    def _start_trial(self, number: int, suggestion: Suggestion) -> None:
        self._emit(
            TrialStarted(
                trial=number,
                params=suggestion.params,
                sampled=suggestion.sampled,
                seed=suggestion.seed,
                generation=self.plan.generation,
                time=now_ms(),
            ),
            durable=True,
        )

    def _segment(self, trial: TrialHistory, stop: int) -> Segment:
        """The segment that takes the trial from its last checkpoint to `stop`."""
        earlier, checkpoint = ([None, None, *trial.checkpoints])[-2:]
        return Segment(
            study_folder=str(self.plan.study_folder),
            trial=trial.number,
            attempt=trial.attempts + 1,
            params=trial.params,
            seed=trial.seed,
            start=checkpoint.epoch if checkpoint else 0,
            stop=stop,
            max_epochs=self.plan.max_epochs,
            dataset=self.plan.dataset,
            checkpoint=checkpoint,
            earlier_checkpoint=earlier,
            microbatches=trial.microbatches,
            precision=self.plan.precision,
            past_losses=tuple(
                trial.epochs[epoch].get("val_loss", trial.epochs[epoch].get("loss", math.nan))
                for epoch in range(1, (checkpoint.epoch if checkpoint else 0) + 1)
            ),
            measure=() if trial.measured else self.plan.measure,
            limits={} if trial.measured else self.plan.limits,
            evaluate_test=self.plan.evaluate_test,
        )

    def _handle(self, event: EngineEvent) -> None:
        if isinstance(event, WorkerReady):
            self._start_failures = 0
            self._idle.add(event.worker)
        elif isinstance(event, WorkerLost):
            self._worker_lost(event)
        elif isinstance(event, Reported):
            self._reported(event.worker, event.event)

    def _replace_silent(self) -> None:
        """A worker that has said nothing for much longer than an epoch hangs: it is as good as lost."""
        for worker in self._busy():
            segment = self._running.get(worker) or self._writing[worker][0]
            limit = self.plan.hang_seconds or self._times.limit(segment)
            if self._listened - self._heard[worker] <= limit:
                self._watched.pop(worker, None)
            elif self.plan.hang_seconds is not None or self._is_idle(worker):
                said = f"Worker {worker} said nothing for {self._listened - self._heard[worker]:.0f} s."
                self._worker_lost(WorkerLost(worker, said, "hang"))

    def _is_idle(self, worker: int) -> bool:
        """Whether a silent worker has been watched for a while and hardly used a processor."""
        now, used = self._listened, self.engine.cpu_seconds(worker)
        since, used_then = self._watched.setdefault(worker, (now, used))
        if now - since < silence.WATCHED_SECONDS:
            return False
        del self._watched[worker]  # if it is at work, it is watched once more
        return used - used_then < silence.BUSY * (now - since)

    def _worker_lost(self, event: WorkerLost) -> None:
        self._idle.discard(event.worker)
        segment = self._running.pop(event.worker, None)
        if segment is None and event.worker not in self._writing:
            self._start_failures += 1
            if self._start_failures >= START_FAILURES:
                raise EngineError(f"Workers cannot be started. {event.reason}")
        elif segment is not None and event.failure == "out_of_memory":
            self._emit(
                SegmentFailed(
                    trial=segment.trial,
                    attempt=segment.attempt,
                    failure="out_of_memory",
                    message=event.reason,
                    traceback="",
                    time=now_ms(),
                ),
                durable=True,
            )
            self._out_of_memory(segment, event.reason)
        elif segment is not None:
            self._lost(segment, event.failure, event.reason)
        else:
            for written in self._writing.pop(event.worker):
                remove_unfinished(StudyPaths(self.plan.study_folder).trial(written.trial))
                self._lost(written, event.failure, event.reason)
        self._restart(event.worker)
        if segment is not None:
            remove_unfinished(StudyPaths(self.plan.study_folder).trial(segment.trial))

    def _restart(self, worker: int) -> None:
        """A fresh worker in place of this one.

        What it was still writing is done again, at no charge: it is not to blame for the segment that ran.
        """
        self.engine.restart(worker)
        self._idle.discard(worker)
        self._placement.forget(worker)
        self._outgrown.discard(worker)
        for segment in self._writing.pop(worker, []):
            remove_unfinished(StudyPaths(self.plan.study_folder).trial(segment.trial))
            self._placement.add(self._segment(self.history.trials[segment.trial], segment.stop))

    def _lost(self, segment: Segment, failure: FailureKind, reason: str) -> None:
        how = reason.split(". ", 1)[0].rstrip(".")
        self._try_again(segment, f"its worker was lost ({how})", failure, reason)

    def _try_again(self, segment: Segment, what: str, failure: FailureKind, detail: str) -> None:
        """What was not the configuration's fault is tried again, a bounded number of times."""
        tries = self._retries[segment.trial] = self._retries.get(segment.trial, 0) + 1
        if tries <= RETRIES:
            self._placement.add(self._segment(self.history.trials[segment.trial], segment.stop))
        else:
            self._fail(segment, reason=f"{what} {tries} times", failure=failure, traceback=detail)

    def _reported(self, worker: int, event: WorkerEvent) -> None:
        def is_meant(segment: Segment) -> bool:
            return (segment.trial, segment.attempt) == (event.trial, event.attempt)

        running = self._running.get(worker)
        segments = [*([running] if running else []), *self._writing.get(worker, [])]
        segment = next(filter(is_meant, segments), None)
        if segment is None:
            return  # a late word about a segment that has been given to another worker
        self._heard[worker] = self._listened
        if isinstance(event, TrainingEnded):
            # The user's own code may take the worker with it, and with that what is still being written.
            if not self.plan.plugin:
                self._free(worker, segment)
                self._writing.setdefault(worker, []).append(segment)
            if self.engine.has_grown(worker):
                self._idle.discard(worker)
                self._outgrown.add(worker)
            self._trained(segment, event)
        elif isinstance(event, SegmentEnded):
            self._free(worker, segment)
            self._emit(event, durable=True)
            self._segment_ended(segment, event)
        elif isinstance(event, SegmentFailed):
            self._free(worker, segment)
            self._emit(event, durable=True)
            if event.failure == "out_of_memory" and segment is running:
                self._idle.discard(worker)
                self._out_of_memory(segment, event.message)
                self._restart(worker)  # with nothing of the large network left in it
            else:
                self._segment_failed(segment, event)
        else:
            self._progressed(worker, segment, event)
        if worker in self._outgrown and worker not in self._busy():
            self._restart(worker)

    def _free(self, worker: int, segment: Segment) -> None:
        """The worker is through with the segment."""
        if self._running.get(worker) is segment:
            del self._running[worker]
            self._idle.add(worker)
        written = [one for one in self._writing.pop(worker, []) if one is not segment]
        if written:
            self._writing[worker] = written

    def _progressed(self, worker: int, segment: Segment, event: Progressed) -> None:
        if isinstance(event, DiskFull):
            if event.message not in self._said:
                self._said.add(event.message)
                self.note(event.message)
        elif isinstance(event, EpochEnded):
            self._times.learn(segment, event.metrics.get("epoch_seconds", 0.0))
            self._emit(event)
            self._limit_time(worker, segment)
        elif isinstance(event, CheckpointSaved):
            superseded = self.history.trials[event.trial].checkpoints[:-1]
            self._emit(event, durable=True)
            for checkpoint in superseded:
                (self.plan.study_folder / checkpoint.file).unlink(missing_ok=True)
        else:
            self._emit(event, durable=True)
            if isinstance(event, CheckpointDamaged):
                self.note(f"Trial {event.trial}: {event.message}")

    def _limit_time(self, worker: int, segment: Segment) -> None:
        limit = self.plan.max_trial_seconds
        if limit is None:
            return
        epochs = self.history.trials[segment.trial].epochs.values()
        if sum(metrics.get("epoch_seconds", 0.0) for metrics in epochs) > limit:
            self._out_of_time.add(segment.trial)
            self.engine.stop_segment(worker)

    def _trained(self, segment: Segment, event: TrainingEnded | SegmentEnded) -> None:
        """What came of the training is known, so the next decision can use it, whatever is still written."""
        trial = self.history.trials[segment.trial]
        if event.over:
            self._learn(self._outcome(trial, segment.stop, event.epoch, "complete"))
        elif segment.trial in self._out_of_time:
            self._learn(self._outcome(trial, segment.stop, event.epoch, "pruned"))
        elif event.epoch == segment.stop:
            self._learn(self._outcome(trial, segment.stop, event.epoch))
        # Otherwise it was stopped on request, and goes on when the study is resumed.

    def _segment_ended(self, segment: Segment, event: SegmentEnded) -> None:
        self._retries.pop(segment.trial, None)
        trial = self.history.trials[segment.trial]
        self._trained(segment, event)
        if event.over:
            self._complete(trial)
        elif segment.trial in self._out_of_time:
            limit = self.plan.max_trial_seconds
            self._end_trial(trial.number, "pruned", reason=f"trained for more than {limit:g} s")

    def _end_stopped(self) -> None:
        """End the trials that a pruner has stopped, as soon as nothing of them is being written any more."""
        self._stopped.update(self.decisions.take_stopped())
        if not self._stopped:
            return
        unfinished = {segment.trial for segment in self._unfinished()}
        for number in sorted(self._stopped - unfinished):
            self._stopped.discard(number)
            trial = self.history.trials[number]
            if trial.state == "paused":
                self._end_trial(number, "pruned", reason=f"stopped by the pruner at epoch {trial.reached}")

    def _learn(self, outcome: Outcome) -> None:
        """Let the decisions know what came of a segment, once."""
        if (outcome.trial, outcome.stop) not in self._learned:
            self._learned.add((outcome.trial, outcome.stop))
            self.decisions.learn(outcome)

    def _complete(self, trial: TrialHistory) -> None:
        early = trial.reached < self.plan.max_epochs
        reason = f"stopped improving at epoch {trial.reached}" if early else "finished"
        self._end_trial(trial.number, "complete", reason=reason)

    def _out_of_memory(self, segment: Segment, message: str) -> None:
        """Once more with smaller pieces of each batch; then the configuration is not feasible here."""
        if segment.microbatches < MICROBATCHES:
            self.note(f"Trial {segment.trial} ran out of memory and is tried again at half the batch.")
            self._placement.add(self._segment(self.history.trials[segment.trial], segment.stop))
            return
        reason = "ran out of memory, even at half the batch with accumulated gradients"
        self._fail(segment, reason=reason, failure="out_of_memory", traceback=message)

    def _segment_failed(self, segment: Segment, event: SegmentFailed) -> None:
        if event.failure in ("crash", "out_of_memory"):
            self._try_again(segment, f"{event.message.rstrip('.')}:", event.failure, event.traceback)
            return
        if event.failure == "user_code":
            self._consider_giving_up(event.message)
        self._fail(segment, reason=event.message, failure=event.failure, traceback=event.traceback)

    def _fail(self, segment: Segment, *, reason: str, failure: FailureKind, traceback: str) -> None:
        self._end_trial(segment.trial, "failed", reason=reason, failure=failure, traceback=traceback)
        trial = self.history.trials[segment.trial]
        reached = max(trial.epochs, default=0)
        self._learn(self._outcome(trial, segment.stop, reached, "failed"))

    def _outcome(
        self, trial: TrialHistory, stop: int, epoch: int, state: TrialState | None = None
    ) -> Outcome:
        return Outcome(
            trial=trial.number,
            stop=stop,
            values=self._values_at(trial, epoch),
            scores=self.history.scores(trial, epoch),
            state=state,
            final=self._final_values(trial) if state in ("complete", "pruned") else None,
            seconds=trial.epoch_seconds,
        )

    def _final_values(self, trial: TrialHistory) -> list[float] | None:
        """All objectives at the end of the trial; None unless all are finite."""
        known = trial.epochs.get(max(trial.epochs, default=0), {}) | trial.measured
        found = [known.get(metric, math.nan) for metric, _ in self.plan.objectives]
        return found if all(map(math.isfinite, found)) else None

    def _values_at(self, trial: TrialHistory, epoch: int) -> Values:
        """All objectives after an epoch, larger-is-better."""
        known = trial.epochs.get(epoch, {}) | trial.measured
        return tuple(
            known.get(metric, math.nan) * (1 if larger else -1) for metric, larger in self.plan.objectives
        )

    def _consider_giving_up(self, message: str) -> None:
        """When the code fails from the start, it will fail in every trial."""
        if any(trial.epochs for trial in self.history.trials.values()):
            return
        self._alike[message] = self._alike.get(message, 0) + 1
        if self._alike[message] >= (1 if self.plan.plugin else ALIKE_FAILURES):
            self.stop.reason, self.stop.now = message, True
            self.gave_up = True

    def _end_trial(
        self,
        number: int,
        state: TrialState,
        *,
        reason: str,
        failure: FailureKind | None = None,
        traceback: str = "",
    ) -> None:
        trial = self.history.trials[number]
        epoch = max(trial.epochs, default=0)
        known = (trial.epochs[epoch] if epoch else {}) | trial.measured
        # What a network scores whose loss is not a number says nothing.
        known = {} if failure == "diverged" else known
        found = [known.get(metric, math.nan) for metric, _ in self.plan.objectives]
        score = found[0] if math.isfinite(found[0]) else None
        values = found if all(map(math.isfinite, found)) else None
        self._emit(
            TrialEnded(
                trial=number,
                state=state,
                score=score,
                values=values,
                epoch=epoch,
                reason=reason,
                failure=failure,
                traceback=traceback,
                time=now_ms(),
            ),
            durable=True,
        )
        remove_checkpoints(self.plan.study_folder, number, keep=())

    def _finish(self) -> StudyEnded:
        """End what is paused for good, or leave it for a resume, and close the study."""
        complete = self.stop.reason is None
        if complete:
            for trial in list(self.history.trials.values()):
                if trial.state == "paused":
                    self._end_trial(
                        trial.number, "pruned", reason=f"outcompeted at epoch {max(trial.epochs)}"
                    )
        if self.decisions.exhausted and len(self.history.trials) < self.plan.trials:
            ending = f"all {len(self.history.trials)} configurations of the space have been tried"
        else:
            ending = _all_ended(self.plan.trials)
        reason = self.stop.reason or ending
        ended = StudyEnded(reason=reason, complete=complete, time=now_ms())
        self._emit(ended, durable=True)
        return ended

    def _emit(self, event: Event, *, durable: bool = False) -> None:
        record = self.log.append(event, durable=durable)
        self.history.apply(record)
        for follow in self.followers:
            follow(record)


def _all_ended(trials: int) -> str:
    return f"all {trials} trials have ended" if trials > 1 else "the trial has ended"
