"""When a sweep has had enough: pure decisions on the study's state."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.experiment.experiment import Budget
from harness.study.state import StudyState


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A limit that has been reached."""

    reason: str
    """What was reached, in words."""
    raised_by: str
    """The option of `harness resume` with which the study would go on, such as `--timeout 120`."""


def describe(budget: Budget, state: StudyState) -> str:
    """The limits, and how much of them is used, as a list in words; empty without any."""
    epochs = epochs_trained(state)
    limits = {
        "time": budget.timeout and f"{budget.timeout:g} s ({state.elapsed_seconds:.0f} s used)",
        "epochs": budget.max_epochs_total and f"{budget.max_epochs_total:,} ({epochs:,} used)",
        "target": budget.target is not None and f"{budget.target:g}",
        "patience": budget.patience and f"{budget.patience} trials",
    }
    return ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit)


def used_up(budget: Budget, state: StudyState, elapsed: float) -> UsedUp | None:
    """Why the sweep should end now; None if it should go on.

    Args:
        budget: the limits.
        state: the study so far.
        elapsed: seconds that the study has taken, without the time between its sessions.
    """
    if budget.timeout is not None and elapsed > budget.timeout:
        return UsedUp(
            f"the time limit of {budget.timeout:g} s was reached", f"--timeout {2 * budget.timeout:g}"
        )
    if budget.max_epochs_total is not None and epochs_trained(state) >= budget.max_epochs_total:
        return UsedUp(
            f"the budget of {budget.max_epochs_total:,} epochs is used up",
            f"--max-epochs-total {2 * budget.max_epochs_total}",
        )
    if budget.target is not None:
        for trial in state.trials.values():
            reached = trial.state == "complete" and trial.score is not None
            if reached and not state.objective.better(budget.target, trial.score or 0.0):
                return UsedUp(
                    f"trial {trial.number} reached the target of {budget.target:g}", "--target none"
                )
    if budget.patience is not None:
        without_gain = _trials_without_gain(state, budget.min_gain)
        if without_gain >= budget.patience:
            return UsedUp(
                f"the last {without_gain} trials brought no improvement", f"--patience {2 * budget.patience}"
            )
    return None


def epochs_trained(state: StudyState) -> int:
    """Whole epochs of all trials together, each counted once however often it was trained."""
    return sum(len(trial.epochs) for trial in state.trials.values())


def _trials_without_gain(state: StudyState, min_gain: float) -> int:
    """How many trials have had a result since the last one that improved on all before.

    Results are compared with those after equally many epochs, and those of whole trainings with one another:
    a trial that has paused at the first rung is no match for one that was trained to its end.
    """
    best: dict[int, float] = {}
    since: set[int] = set()
    for number, epoch in state.results:
        trial = state.trials[number]
        value = state.score_after(trial, epoch or trial.reached)
        if value is None:
            continue
        since.add(number)
        upwards = state.objective.larger_is_better(value)
        if upwards > best.get(epoch, -math.inf) + min_gain:
            best[epoch] = upwards
            since.clear()
    return len(since)
