"""The coordinator: the one process that owns a study and writes down all that happens in it.

It asks the sampler for configurations, lets the scheduler decide which trial trains how far, hands
segments to idle workers, and turns what they report into events. Everything else (Optuna storage,
MLflow, the console) follows the event log.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.engine.protocol import Engine, EngineEvent, Reported, WorkerLost, WorkerReady
from harness.errors import EngineError
from harness.records import (
    CheckpointSaved,
    Dataset,
    EpochEnded,
    Event,
    FailureKind,
    LogRecord,
    ModelMeasured,
    ModelSaved,
    Segment,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialStarted,
    TrialState,
    WorkerEvent,
)
from harness.sweep.budget import Budget, reason_to_stop
from harness.sweep.event_log import EventLog
from harness.sweep.history import History, TrialHistory
from harness.sweep.sampler import Sampler
from harness.sweep.scheduler import Scheduler

POLL_SECONDS = 0.25
RETRIES = 2
"""How often a segment is tried again after its worker was lost."""
ALIKE_FAILURES = 3
"""Equal failures of the code, before anything was trained, after which the sweep gives up."""
SILENCE_SECONDS = 900.0
"""How long a worker may say nothing before any epoch of the study has been timed."""
SILENCE_START = 120.0
SILENCE_EPOCHS = 10.0
"""Afterwards: so many seconds for compiling, and so many times the longest epoch so far."""
START_FAILURES = 3
"""Workers that may die before their first segment, in a row, before the sweep gives up."""

Follow = Callable[[LogRecord], None]


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
    limits: dict[str, float] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    """When it is used up, running segments end at their next epoch."""
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
    sampler: Sampler
    scheduler: Scheduler
    followers: Sequence[Follow] = ()
    note: Callable[[str], None] = lambda _: None
    """Told what a person should know."""
    stop: Stop = field(default_factory=Stop)
    left_out: int = 0
    """Trials of an earlier space that do not fit the present one."""
    gave_up: bool = False
    """The sweep ended because the network's code fails in every trial."""
    _idle: set[int] = field(default_factory=set)
    _running: dict[int, Segment] = field(default_factory=dict)
    """Segments by worker."""
    _waiting: deque[Segment] = field(default_factory=deque)
    """Segments to run before anything else: interrupted ones."""
    _retries: dict[int, int] = field(default_factory=dict)
    """Workers lost in the current segment, by trial."""
    _heard: dict[int, float] = field(default_factory=dict)
    """When each busy worker last said something (or was given its segment), monotonic seconds."""
    _longest_epoch: float | None = None
    _start_failures: int = 0
    _alike: dict[str, int] = field(default_factory=dict)
    """Failures of code before anything was trained, by message."""
    _exhausted: bool = False
    """Every configuration of the space has been tried."""

    def run(self) -> StudyEnded:
        """Run the sweep to its end and return its last event.

        Raises:
            EngineError: workers cannot be started.
        """
        self._take_up()
        began = time.monotonic()
        asked_to_stop = False
        while True:
            if self.stop.reason is None:
                elapsed = time.monotonic() - began
                self.stop.reason = reason_to_stop(self.plan.budget, self.history, elapsed)
            if self.stop.reason is None:
                self._hand_out()
                if self._idle and not self._running:
                    break  # nothing is left to hand out
            elif not self._running or self.stop.now:
                break
            elif not asked_to_stop:
                asked_to_stop = True
                for worker in self._running:
                    self.engine.stop_segment(worker)
            for event in self.engine.poll(POLL_SECONDS):
                self._handle(event)
            self._replace_silent()
        return self._finish()

    def _take_up(self) -> None:
        """Rebuild what the log already holds: results at rungs, and segments that were cut off."""
        for trial in self.history.trials.values():
            if not self.sampler.restore(trial):
                self.left_out += 1
            if trial.state == "failed":
                continue
            ended = trial.state in ("complete", "pruned")
            for epoch, metrics in sorted(trial.epochs.items()):
                if epoch <= trial.reached:
                    self.scheduler.report(trial.number, epoch, self._larger_is_better(metrics))
                    if ended or trial.target > epoch:
                        self.scheduler.note_promoted(trial.number, epoch)
            target = trial.target or self.scheduler.first_stop(trial.number)
            if trial.state == "complete" and trial.reached < target:  # it had stopped improving
                result = self._larger_is_better(trial.epochs.get(trial.reached, {}))
                self.scheduler.report(trial.number, target, result)
                self.scheduler.note_promoted(trial.number, target)
            if not ended and trial.reached < target:
                self._waiting.append(self._segment(trial, target))
        if self.left_out:
            carried = len(self.history.trials) - self.left_out
            self.note(
                f"The space has been edited: {carried} earlier trials fit it and are carried over; "
                f"{self.left_out} do not, so they stay on the leaderboard but the sampler does not see them."
            )

    def _hand_out(self) -> None:
        for worker in sorted(self._idle):
            segment = self._next_segment()
            if segment is None:
                return
            self._idle.discard(worker)
            self._running[worker] = segment
            self._emit(
                SegmentStarted(
                    trial=segment.trial,
                    attempt=segment.attempt,
                    start=segment.start,
                    stop=segment.stop,
                    worker=worker,
                    time=_now(),
                )
            )
            self._heard[worker] = time.monotonic()
            self.engine.submit(worker, segment)

    def _next_segment(self) -> Segment | None:
        if self._waiting:
            return self._waiting.popleft()
        all_started = self._exhausted or len(self.history.trials) >= self.plan.trials
        promotion = self.scheduler.promotion(drained=all_started and not self._running)
        if promotion is not None:
            trial = self.history.trials[promotion.trial]
            self.sampler.resume(trial.number)
            return self._segment(trial, promotion.stop)
        if all_started:
            return None
        started = self._new_trial()
        if started is None:
            return self._next_segment()  # what has been tried may still earn a promotion
        return self._segment(started, self.scheduler.first_stop(started.number))

    def _new_trial(self) -> TrialHistory | None:
        number = len(self.history.trials)
        suggestion = self.sampler.ask(number)
        if suggestion is None:
            self._exhausted = True
            return None
        self._emit(
            TrialStarted(
                trial=number,
                params=suggestion.params,
                sampled=suggestion.sampled,
                seed=suggestion.seed,
                generation=self.plan.generation,
                time=_now(),
            ),
            durable=True,
        )
        return self.history.trials[number]

    def _segment(self, trial: TrialHistory, stop: int) -> Segment:
        """The segment that takes the trial from its last checkpoint to `stop`."""
        checkpoint = trial.checkpoints[-1] if trial.checkpoints else None
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
        limit = SILENCE_SECONDS
        if self._longest_epoch is not None:
            limit = SILENCE_START + SILENCE_EPOCHS * self._longest_epoch
        for worker in list(self._running):
            if time.monotonic() - self._heard[worker] > limit:
                self._worker_lost(
                    WorkerLost(worker, f"Worker {worker} said nothing for {limit:.0f} s."), "hang"
                )

    def _worker_lost(self, event: WorkerLost, failure: FailureKind = "crash") -> None:
        self._idle.discard(event.worker)
        segment = self._running.pop(event.worker, None)
        if segment is None:
            self._start_failures += 1
            if self._start_failures >= START_FAILURES:
                raise EngineError(f"Workers cannot be started. {event.reason}")
        else:
            self._retries[segment.trial] = self._retries.get(segment.trial, 0) + 1
            if self._retries[segment.trial] <= RETRIES:
                self._waiting.append(self._segment(self.history.trials[segment.trial], segment.stop))
            else:
                self.scheduler.forget(segment.trial)
                self._end_trial(
                    segment.trial,
                    "failed",
                    reason=f"its worker was lost {self._retries[segment.trial]} times",
                    failure=failure,
                    traceback=event.reason,
                )
        self.engine.restart(event.worker)

    def _reported(self, worker: int, event: WorkerEvent) -> None:
        segment = self._running.get(worker)
        if segment is None or (segment.trial, segment.attempt) != (event.trial, event.attempt):
            return  # a late word about a segment that has been given to another worker
        self._heard[worker] = time.monotonic()
        if isinstance(event, EpochEnded):
            seconds = event.metrics.get("epoch_seconds", 0.0)
            self._longest_epoch = max(self._longest_epoch or 0.0, seconds)
        if isinstance(event, (EpochEnded, ModelMeasured)):
            self._emit(event)
        elif isinstance(event, (CheckpointSaved, ModelSaved)):
            self._emit(event, durable=True)
        elif isinstance(event, SegmentEnded):
            self._free(worker)
            self._emit(event, durable=True)
            self._segment_ended(segment, event)
        else:
            self._free(worker)
            self._emit(event, durable=True)
            self._segment_failed(event)

    def _free(self, worker: int) -> None:
        del self._running[worker]
        self._idle.add(worker)

    def _segment_ended(self, segment: Segment, event: SegmentEnded) -> None:
        self._retries.pop(segment.trial, None)
        trial = self.history.trials[segment.trial]
        result = self._larger_is_better(trial.epochs[event.epoch])
        if event.over:
            # Stopped early it takes its place at the rung, but there is nothing to promote.
            self.scheduler.report(segment.trial, segment.stop, result)
            self.scheduler.note_promoted(segment.trial, segment.stop)
            early = event.epoch < self.plan.max_epochs
            reason = f"stopped improving at epoch {event.epoch}" if early else "finished"
            self._end_trial(segment.trial, "complete", reason=reason)
        elif event.epoch == segment.stop:
            self.scheduler.report(segment.trial, event.epoch, result)
            score = trial.epochs[event.epoch].get(self.plan.metric, math.nan)
            self.sampler.pause(segment.trial, event.epoch, score)
        # Otherwise it was stopped on request, and goes on when the study is resumed.

    def _segment_failed(self, event: SegmentFailed) -> None:
        if event.failure == "user_code":
            self._consider_giving_up(event.message)
        self.scheduler.forget(event.trial)
        self._end_trial(
            event.trial,
            "failed",
            reason=event.message,
            failure=event.failure,
            traceback=event.traceback,
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
                time=_now(),
            ),
            durable=True,
        )
        self.sampler.finish(number, state, epoch, values, score)

    def _finish(self) -> StudyEnded:
        """End what is paused for good, or leave it for a resume, and close the study."""
        complete = self.stop.reason is None
        if complete:
            for trial in list(self.history.trials.values()):
                if trial.state == "paused":
                    self._end_trial(
                        trial.number, "pruned", reason=f"outcompeted at epoch {max(trial.epochs)}"
                    )
        if self._exhausted and len(self.history.trials) < self.plan.trials:
            ending = f"all {len(self.history.trials)} configurations of the space have been tried"
        else:
            ending = _all_ended(self.plan.trials)
        reason = self.stop.reason or ending
        ended = StudyEnded(reason=reason, complete=complete, time=_now())
        self._emit(ended, durable=True)
        return ended

    def _emit(self, event: Event, *, durable: bool = False) -> None:
        record = self.log.append(event, durable=durable)
        self.history.apply(record)
        for follow in self.followers:
            follow(record)

    def _larger_is_better(self, metrics: dict[str, float]) -> float:
        value = metrics.get(self.plan.metric, math.nan)
        return value if self.plan.maximize else -value


def _all_ended(trials: int) -> str:
    return f"all {trials} trials have ended" if trials > 1 else "the trial has ended"


def _now() -> int:
    return time.time_ns() // 1_000_000
