"""Every reason to end a sweep, at the moment it holds and not before."""

from __future__ import annotations

from typing import Any

import pytest

from harness.records import Dataset, Event, LogRecord, StudyEnded, StudyStarted
from harness.sweep.budget import Budget, reason_to_stop
from harness.sweep.history import History, TrialHistory, fold


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


def test_the_time_limit_counts_all_sessions_but_not_the_time_between() -> None:
    dataset = Dataset(
        name="d",
        folder="d",
        split="s",
        digest="0",
        classes=("a", "b"),
        image_shape=(8, 8, 1),
        counts={"train": 1, "validation": 1, "test": 1},
        class_counts={},
    )

    def began(session: int, time: int) -> StudyStarted:
        return StudyStarted(
            study="s", study_id="id", session=session, experiment={}, dataset=dataset, seed=0, trials=1,
            versions={}, host={}, git_commit=None, time=time,
        )  # fmt: skip

    def ended(time: int) -> StudyEnded:
        return StudyEnded(reason="interrupted", complete=False, time=time)

    events: list[Event] = [
        began(1, 1_000_000),
        ended(1_004_000),
        began(2, 9_000_000),
        ended(9_002_500),
        began(3, 8_000_000),  # the clock was set back
        ended(7_000_000),
        began(4, 9_900_000),
    ]
    assert fold(LogRecord(seq, event) for seq, event in enumerate(events, start=1)).spent == 6.5
