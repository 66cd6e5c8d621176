"""When a sweep has had enough: pure decisions on the study's history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from harness.sweep.history import History

LIMITS = ("timeout", "max_epochs_total", "target", "patience", "min_gain")
"""The keys of an experiment's `search` section that make up the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Reasons to end a sweep before its last trial; None: never for this reason."""

    timeout: float | None = None
    """Seconds of wall time of the study, all its sessions together."""
    max_epochs_total: int | None = None
    """Epochs trained in all trials together."""
    target: float | None = None
    """A value of the objective that is good enough."""
    patience: int | None = None
    """Trials in a row that do not improve on the best before them."""
    min_gain: float = 0.0
    """What counts as an improvement."""


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A limit that has been reached."""

    reason: str
    """In words."""
    raised_by: str
    """The option of `harness resume` with which the study would go on, such as `--timeout 120`."""


def budget_of(search: dict[str, Any]) -> Budget:
    """The limits in the `search` section of an experiment."""
    return Budget(**{name: search[name] for name in LIMITS if search.get(name) is not None})


def describe(budget: Budget, history: History) -> str:
    """The limits, and how much of them is used, as a list in words; empty without any."""
    epochs = _epochs(history)
    limits = {
        "time": budget.timeout and f"{budget.timeout:g} s ({history.elapsed:.0f} s used)",
        "epochs": budget.max_epochs_total and f"{budget.max_epochs_total:,} ({epochs:,} used)",
        "target": budget.target is not None and f"{budget.target:g}",
        "patience": budget.patience and f"{budget.patience} trials",
    }
    return ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit)


def used_up(budget: Budget, history: History, elapsed: float) -> UsedUp | None:
    """Why the sweep should end now; None if it should go on.

    Args:
        budget: the limits.
        history: the study so far.
        elapsed: seconds that the study has taken, without the time between its sessions.
    """
    if budget.timeout is not None and elapsed > budget.timeout:
        return UsedUp(
            f"the time limit of {budget.timeout:g} s was reached", f"--timeout {2 * budget.timeout:g}"
        )
    if budget.max_epochs_total is not None and _epochs(history) >= budget.max_epochs_total:
        return UsedUp(
            f"the budget of {budget.max_epochs_total:,} epochs is used up",
            f"--max-epochs-total {2 * budget.max_epochs_total}",
        )
    if budget.target is not None:
        sign = 1 if history.maximize else -1
        for trial in history.trials.values():
            reached = trial.state == "complete" and trial.score is not None
            if reached and sign * (trial.score or 0.0) >= sign * budget.target:
                return UsedUp(
                    f"trial {trial.number} reached the target of {budget.target:g}", "--target none"
                )
    if budget.patience is not None:
        without_gain = _trials_without_gain(history, budget.min_gain)
        if without_gain >= budget.patience:
            return UsedUp(
                f"the last {without_gain} trials brought no improvement", f"--patience {2 * budget.patience}"
            )
    return None


def _epochs(history: History) -> int:
    return sum(len(trial.epochs) for trial in history.trials.values())


def _trials_without_gain(history: History, min_gain: float) -> int:
    """How many trials have had a result since the last one that improved on all before.

    Results are compared with those after equally many epochs, and those of whole trainings with one another:
    a trial that has paused at the first rung is no match for one that was trained to its end.
    """
    sign = 1 if history.maximize else -1
    best: dict[int, float] = {}
    since: set[int] = set()
    for number, epoch in history.results:
        trial = history.trials[number]
        value = history.score_after(trial, epoch or trial.reached)
        if value is None:
            continue
        since.add(number)
        if sign * value > best.get(epoch, -math.inf) + min_gain:
            best[epoch] = sign * value
            since.clear()
    return len(since)
