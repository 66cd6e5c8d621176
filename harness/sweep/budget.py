"""When a sweep has had enough: pure decisions on the study's history."""

from __future__ import annotations

from dataclasses import dataclass

from harness.sweep.history import History


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


def reason_to_stop(budget: Budget, history: History, elapsed: float) -> str | None:
    """Why the sweep should end now, in words; None if it should go on.

    Args:
        budget: the limits.
        history: the study so far.
        elapsed: seconds that the study has taken, without the time between its sessions.
    """
    if budget.timeout is not None and elapsed > budget.timeout:
        return f"the time limit of {budget.timeout:g} s was reached"
    if budget.max_epochs_total is not None:
        epochs = sum(len(trial.epochs) for trial in history.trials.values())
        if epochs >= budget.max_epochs_total:
            return f"the budget of {budget.max_epochs_total:,} epochs is used up"
    if budget.target is None and budget.patience is None:
        return None
    sign = 1 if history.maximize else -1
    best, without_gain = float("-inf"), 0
    for trial in history.trials.values():
        if trial.score is None:
            continue
        value = sign * trial.score
        if budget.target is not None and trial.state == "complete" and value >= sign * budget.target:
            return f"trial {trial.number} reached the target of {budget.target:g}"
        if value > best + budget.min_gain:
            best, without_gain = value, 0
        else:
            without_gain += 1
    if budget.patience is not None and without_gain >= budget.patience:
        return f"the last {without_gain} trials brought no improvement"
    return None
