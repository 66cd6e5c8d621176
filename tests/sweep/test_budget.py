"""Every reason to end a sweep, at the moment it holds and not before."""

from __future__ import annotations

from typing import Any

import pytest

from harness.sweep.budget import Budget, reason_to_stop
from harness.sweep.history import History, TrialHistory


def history(scores: list[float | None], state: Any = "complete") -> History:
    found = History()
    for number, score in enumerate(scores):
        trial = TrialHistory(number, {}, {}, 0, 0, state=state, score=score)
        trial.epochs = {1: {}, 2: {}}
        found.trials[number] = trial
    return found


@pytest.mark.parametrize(
    ("budget", "scores", "reason"),
    [
        (Budget(), [0.1] * 99, None),
        (Budget(timeout=10), [], None),
        (Budget(timeout=4), [], "the time limit of 4 s was reached"),
        (Budget(max_epochs_total=7), [0.1] * 3, None),
        (Budget(max_epochs_total=6), [0.1] * 3, "the budget of 6 epochs is used up"),
        (Budget(target=0.9), [0.5, 0.89], None),
        (Budget(target=0.9), [0.5, 0.9], "trial 1 reached the target of 0.9"),
        (Budget(patience=3), [0.5, 0.6, 0.6, 0.5], None),
        (Budget(patience=3), [0.5, 0.6, 0.6, None, 0.5, 0.4], "the last 3 trials brought no improvement"),
        (Budget(patience=2, min_gain=0.1), [0.5, 0.55, 0.59], "the last 2 trials brought no improvement"),
        (Budget(patience=2, min_gain=0.1), [0.5, 0.55, 0.7], None),
    ],
)
def test_a_budget_ends_a_sweep_when_it_is_used_up(
    budget: Budget, scores: list[Any], reason: str | None
) -> None:
    assert reason_to_stop(budget, history(scores), elapsed=5) == reason


def test_a_paused_trial_does_not_reach_the_target() -> None:
    assert reason_to_stop(Budget(target=0.5), history([0.9], state="paused"), elapsed=0) is None
