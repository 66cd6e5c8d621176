"""What a confirmation will take, by what the same trainings took in the sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.study.state import StudyState
from harness.study.trial import Trial


@dataclass(frozen=True, slots=True)
class ConfirmationForecast:
    """Trainings that are to come, and how long they will take at most."""

    trainings: int
    seconds: float
    """Of all workers together side by side."""
    workers: int
    sweep_seconds: float
    """What the sweep took."""


def forecast(
    state: StudyState, trials: Sequence[Trial], seeds: int, workers: int, done: Sequence[int] = ()
) -> ConfirmationForecast:
    """The seconds of the trainings that are missing, none of them being spared.

    Args:
        state: of the study that is confirmed.
        trials: those whose configurations are trained anew.
        seeds: how often each of them.
        workers: that train side by side.
        done: trainings that have ended, by the number of their configuration's trial, once for each.
    """
    missing = {trial.number: seeds - list(done).count(trial.number) for trial in trials}
    trainings = sum(missing.values())
    work = sum(missing[trial.number] * trial.seconds for trial in trials)
    longest = max((trial.seconds for trial in trials if missing[trial.number]), default=0.0)
    return ConfirmationForecast(
        trainings, max(work / max(1, workers), longest), workers, state.elapsed_seconds
    )
