"""The event log folded into what a study is now: the one place where events get their meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from harness.records import (
    Checkpoint,
    CheckpointDamaged,
    CheckpointSaved,
    EpochEnded,
    Evaluation,
    FailureKind,
    LogRecord,
    ModelMeasured,
    ModelSaved,
    Params,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialStarted,
)

MICROBATCHES = 2
"""Parts of a batch when a configuration is tried again after memory ran out."""

State = Literal["waiting", "running", "paused", "complete", "pruned", "failed"]


@dataclass(slots=True)
class TrialHistory:
    """One trial so far."""

    number: int
    params: Params
    sampled: Params
    seed: int
    started: int
    """Milliseconds since 1970, as all times."""
    state: State = "waiting"
    """`waiting`: no segment has started. `paused`: its last segment has ended, but not the trial."""
    attempts: int = 0
    """Segments that were started, tries of the same segment included."""
    target: int = 0
    """The epoch at which the segment started last is to end."""
    reached: int = 0
    """The epoch at which the last whole segment ended."""
    worker: int | None = None
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics by 1-based epoch; of a repeated epoch the first record counts."""
    over: bool = False
    """Its training has ended, although its end may not have been written yet."""
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """The last two that are not known to be damaged, the older one first."""
    microbatches: int = 1
    """2 after memory ran out."""
    generation: int = 1
    measured: dict[str, float] = field(default_factory=dict)
    """`parameters`, `latency_ms`."""
    values: list[float] | None = None
    """All objectives, once the trial has ended."""
    model: ModelSaved | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0
    """Wall time of its finished segments."""
    ended: int | None = None
    score: float | None = None
    """The objective at the last epoch; None without a finite one."""
    reason: str = ""
    failure: FailureKind | None = None
    traceback: str = ""

    @property
    def epoch_seconds(self) -> float | None:
        """What an epoch takes, without what was compiled in the first one; None before one has ended."""
        known = [found["epoch_seconds"] for found in self.epochs.values() if "epoch_seconds" in found]
        return min(known, default=None)


@dataclass(slots=True)
class History:
    """A study so far; `apply` brings it up to date with one more record."""

    study: StudyStarted | None = None
    """The latest session's."""
    sessions: int = 0
    generation: int = 1
    """Grows when the space is edited."""
    began: int = 0
    session_began: int = 0
    spent: float = 0.0
    """Seconds of wall time of the sessions before the latest one."""
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    """By number, in order."""
    results: list[tuple[int, int]] = field(default_factory=list)
    """What every whole segment came to, in the order in which they ended: the trial and its epoch, or 0 where
    its training was over."""
    ended: StudyEnded | None = None
    """How the latest session ended; None while it runs, or if it was cut off."""
    last_seq: int = 0
    last_time: int = 0

    def apply(self, record: LogRecord) -> None:
        """Take in the next record of the log."""
        event = record.event
        before, self.last_seq, self.last_time = self.last_time, record.seq, event.time
        if isinstance(event, EpochEnded):
            self.trials[event.trial].epochs.setdefault(event.epoch, event.metrics)
        elif isinstance(event, StudyStarted):
            if self.study is not None and _space_of(self.study) != _space_of(event):
                self.generation += 1
            self.study, self.sessions, self.ended = event, event.session, None
            self.began = self.began or event.time
            self.spent += max(0, before - self.session_began) / 1000
            self.session_began = event.time
        elif isinstance(event, StudyEnded):
            self.ended = event
        elif isinstance(event, TrialStarted):
            self.trials[event.trial] = TrialHistory(
                event.trial,
                event.params,
                event.sampled,
                event.seed,
                event.time,
                generation=event.generation,
            )
        else:
            self._apply_to_trial(self.trials[event.trial], record)

    def _apply_to_trial(self, trial: TrialHistory, record: LogRecord) -> None:
        event = record.event
        if isinstance(event, SegmentStarted):
            trial.state, trial.worker = "running", event.worker
            trial.attempts, trial.target = event.attempt, event.stop
            trial.microbatches = event.microbatches
        elif isinstance(event, CheckpointSaved):
            trial.checkpoints = [*trial.checkpoints[-1:], event.checkpoint]
        elif isinstance(event, CheckpointDamaged):
            trial.checkpoints = [one for one in trial.checkpoints if one != event.checkpoint]
        elif isinstance(event, SegmentFailed):
            if event.failure == "out_of_memory":
                trial.microbatches = MICROBATCHES
        elif isinstance(event, ModelMeasured):
            trial.measured = event.measured
        elif isinstance(event, ModelSaved):
            trial.model = event
        elif isinstance(event, SegmentEnded):
            trial.state, trial.reached, trial.over = "paused", event.epoch, event.over
            self.results.append((event.trial, 0 if event.over else event.epoch))
            trial.seconds += event.seconds
            trial.evaluations = event.evaluations or trial.evaluations
            trial.score = self.score_after(trial, event.epoch)
        elif isinstance(event, TrialEnded):
            trial.state, trial.ended = event.state, event.time
            trial.score, trial.values = event.score, event.values
            trial.reason, trial.failure, trial.traceback = event.reason, event.failure, event.traceback

    def scores(self, trial: TrialHistory, until: int) -> dict[int, float]:
        """The objective by epoch, up to epoch `until`, where it is finite."""
        metric = self._metric
        known = ((epoch, found.get(metric, math.nan)) for epoch, found in trial.epochs.items())
        return {epoch: value for epoch, value in known if epoch <= until and math.isfinite(value)}

    def score_after(self, trial: TrialHistory, epoch: int) -> float | None:
        """The objective after an epoch; None if it is not known or not finite."""
        value = trial.epochs.get(epoch, {}).get(self._metric, math.nan)
        return value if math.isfinite(value) else None

    @property
    def elapsed(self) -> float:
        """Seconds of wall time until the last record, without the time between sessions."""
        return self.spent + max(0, self.last_time - self.session_began) / 1000

    @property
    def _metric(self) -> str:
        assert self.study is not None, "a log begins with StudyStarted"
        return str(self.study.experiment["objective"]["metric"])

    @property
    def maximize(self) -> bool:
        """Whether larger scores are better."""
        return self.study is None or self.study.experiment["objective"]["direction"] == "maximize"


def _space_of(study: StudyStarted) -> tuple[object, object]:
    return study.experiment.get("space"), study.experiment.get("model")


def fold(records: Iterable[LogRecord]) -> History:
    """The history that these records tell."""
    history = History()
    for record in records:
        history.apply(record)
    return history


def best(history: History) -> TrialHistory | None:
    """The complete trial with the best finite score; of equals the one that was started first."""
    return best_of(history.trials.values(), maximize=history.maximize)


def best_of(trials: Iterable[TrialHistory], *, maximize: bool) -> TrialHistory | None:
    """The complete one with the best finite score; of equals the one that was started first."""
    sign = 1 if maximize else -1
    scored = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    return max(scored, key=lambda trial: (sign * (trial.score or 0.0), -trial.number), default=None)
