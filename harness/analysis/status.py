"""Where a study stands."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from harness.sweep.budget import budget_of, used_up
from harness.sweep.history import History, best


@dataclass(frozen=True, slots=True)
class Status:
    """A study in a few figures; times in seconds."""

    study: str
    experiment: str
    dataset: str
    objective: str
    trials: int
    """The total that was asked for."""
    states: dict[str, int]
    epochs: int
    """Epochs trained in all trials."""
    best_trial: int | None
    best_score: float | None
    elapsed: float
    """From the first start to the last event, breaks included."""
    idle: float
    """Since the last event."""
    sessions: int
    ended: str | None
    """Why the last session ended; None while it runs, or when it was cut off."""
    complete: bool
    running: str | None
    """Who runs it now, in words; None if nobody does."""
    next: str | None
    """The command with which the study goes on; None while it runs, and when it is complete."""
    failures: dict[str, str]
    """Kind and reason by trial, for failed trials."""


def status(history: History, running: str | None = None) -> Status:
    """Summarise.

    Args:
        history: of the study, which must have begun.
        running: who runs it now, in words; None if nobody does.

    Raises:
        ValueError: the log is empty.
    """
    study = history.study
    if study is None:
        raise ValueError("the study never began")
    winner = best(history)
    trials = history.trials.values()
    complete = bool(history.ended and history.ended.complete)
    limit = used_up(budget_of(study.experiment.get("search", {})), history, history.elapsed)
    resume = f"harness resume {study.study}{f' {limit.raised_by}' if limit else ''}"
    return Status(
        study=study.study,
        experiment=study.experiment["name"],
        dataset=study.dataset.name,
        objective=study.experiment["objective"]["metric"],
        trials=study.trials,
        states=dict(Counter(trial.state for trial in trials)),
        epochs=sum(len(trial.epochs) for trial in trials),
        best_trial=winner.number if winner else None,
        best_score=winner.score if winner else None,
        elapsed=max(0.0, (history.last_time - history.began) / 1000),  # the clock may have been set back
        idle=max(0.0, time.time() - history.last_time / 1000),
        sessions=history.sessions,
        ended=history.ended.reason if history.ended else None,
        complete=complete and not running,
        running=running,
        next=None if complete or running else resume,
        failures={
            str(trial.number): f"{trial.failure}: {trial.reason}"
            for trial in trials
            if trial.state == "failed"
        },
    )
