"""Where a study stands."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from harness.study.going_on import command_to_go_on
from harness.study.limits import used_up
from harness.study.openings import openings_in_words
from harness.study.refused import refusals
from harness.study.state import StudyState, best


@dataclass(frozen=True, slots=True)
class Status:
    """A study in a few figures; times in seconds."""

    study: str
    experiment: str
    dataset: str
    objective: str
    trials: int
    """How many trials were asked for in all."""
    states: dict[str, int]
    epochs: int
    """Epochs trained in all trials."""
    best_trial: int | None
    best_score: float | None
    elapsed: float
    """Seconds from the first start to the last event, breaks included."""
    idle: float
    """Seconds since the last event."""
    sessions: int
    ended: str | None
    """Why the last session ended; None while it runs, or when it was cut off."""
    complete: bool
    running: str | None
    """Who runs it now, in words; None if nobody does."""
    next: str | None
    """The command with which the study goes on; None while it runs, and when it is complete."""
    test_openings: int
    """How many models of the study were evaluated on the test images."""
    test_set: str
    """The same in words."""
    refused: list[str]
    """Sentences on configurations that were suggested and not begun."""
    failures: dict[str, str]
    """Kind and reason by trial, for failed trials."""


def status(state: StudyState, running: str | None = None) -> Status:
    """Summarise a study.

    Args:
        state: of the study, which must have begun.
        running: who runs it now, in words; None if nobody does.
    """
    winner = best(state)
    trials = state.trials.values()
    complete = state.is_complete
    limit = used_up(state.experiment.budget, state, state.elapsed_seconds)
    return Status(
        study=state.name,
        experiment=state.experiment.name,
        dataset=state.started.dataset.name,
        objective=state.objective.name,
        trials=state.started.trials,
        states=dict(Counter(trial.state for trial in trials)),
        epochs=sum(len(trial.epochs) for trial in trials),
        best_trial=winner.number if winner else None,
        best_score=winner.score if winner else None,
        elapsed=max(0.0, (state.last_ms - state.began_ms) / 1000),  # the clock may have been set back
        idle=max(0.0, time.time() - state.last_ms / 1000),
        sessions=state.sessions,
        ended=state.ended.reason if state.ended else None,
        complete=complete and not running,
        running=running,
        next=None if complete or running else command_to_go_on(state, limit),
        test_openings=len(state.test_openings),
        test_set=openings_in_words(state),
        refused=refusals(state),
        failures={
            str(trial.number): f"{trial.failure}: {trial.reason}"
            for trial in trials
            if trial.state == "failed"
        },
    )
