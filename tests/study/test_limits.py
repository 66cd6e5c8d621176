"""Every reason to end a sweep, at the moment it holds and not before."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiment.experiment import Budget
from harness.records import Event, LogRecord, StudyEnded, StudyStarted
from harness.study.limits import describe, used_up
from harness.study.state import StudyState, fold
from harness.study.trial import Trial
from tests.studies import study_started

METRIC = "val_accuracy"


def state(scores: list[float | None], state: Any = "complete", epoch: int = 2) -> StudyState:
    """Trials with these scores after `epoch` epochs, ended one after the other."""
    found = begun()
    for number, score in enumerate(scores):
        add_result(found, number, epoch, score, state)
    return found


def begun() -> StudyState:
    """A study without any trial."""
    return fold([LogRecord(1, study_started())])


def add_result(
    found: StudyState, number: int, epoch: int, score: float | None, state: Any = "paused"
) -> None:
    trial = found.trials.setdefault(number, Trial(number, {}, {}, 0, 0))
    trial.state, trial.score, trial.reached = state, score, epoch
    trial.epochs |= {one: {} for one in range(1, epoch + 1)}
    trial.epochs[epoch] = {} if score is None else {METRIC: score}
    found.results.append((number, 0 if state == "complete" else epoch))


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
    found = used_up(budget, state(scores), elapsed=5)
    assert (found.reason if found else None) == reason


def test_a_paused_trial_does_not_reach_the_target() -> None:
    assert used_up(Budget(target=0.5), state([0.9], state="paused"), elapsed=0) is None


def test_trials_at_the_first_rung_are_not_held_against_whole_trainings() -> None:
    """0.9 after nine epochs is no improvement on 0.5 after one that others fell short of."""
    found = begun()
    add_result(found, 0, 1, 0.3)
    add_result(found, 0, 9, 0.9, "complete")
    for number, score in enumerate((0.31, 0.32, 0.33, 0.34), start=1):
        add_result(found, number, 1, score)
    assert used_up(Budget(patience=3), found, elapsed=0) is None
    for number, score in enumerate((0.1, 0.2, 0.34), start=5):
        add_result(found, number, 1, score)
    limit = used_up(Budget(patience=3), found, elapsed=0)
    assert limit is not None
    assert limit.reason == "the last 3 trials brought no improvement"


def test_a_promoted_trial_that_improves_begins_the_count_anew() -> None:
    found = begun()
    for number, score in enumerate((0.5, 0.4, 0.4)):
        add_result(found, number, 1, score)
    add_result(found, 0, 3, 0.7)
    assert used_up(Budget(patience=2), found, elapsed=0) is None
    add_result(found, 1, 3, 0.6)
    add_result(found, 1, 9, 0.6, "complete")  # the first whole one: nothing to compare it with
    assert used_up(Budget(patience=1), found, elapsed=0) is None


@pytest.mark.parametrize(
    ("budget", "raised_by"),
    [
        (Budget(timeout=4), "--timeout 8"),
        (Budget(max_epochs_total=2), "--max-epochs-total 4"),
        (Budget(target=0.4), "--target none"),
        (Budget(patience=1), "--patience 2"),
    ],
)
def test_a_limit_knows_what_raises_it(budget: Budget, raised_by: str) -> None:
    limit = used_up(budget, state([0.5, 0.4]), elapsed=5)
    assert limit is not None
    assert limit.raised_by == raised_by


def test_limits_are_described_with_what_is_used_of_them() -> None:
    found = state([0.5, 0.4])
    assert describe(Budget(timeout=60, max_epochs_total=1000, target=0.0, patience=5), found) == (
        "time 60 s (0 s used), epochs 1,000 (4 used), target 0, patience 5 trials"
    )
    assert not describe(Budget(), found)


def test_the_time_limit_counts_all_sessions_but_not_the_time_between() -> None:
    def began(session: int, time: int) -> StudyStarted:
        return study_started(session=session, time=time)

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
    found = fold(LogRecord(seq, event) for seq, event in enumerate(events, start=1))
    assert (found.earlier_seconds, found.elapsed_seconds) == (6.5, 6.5)
    found.apply(LogRecord(len(events) + 1, ended(9_901_000)))
    assert (found.earlier_seconds, found.elapsed_seconds) == (6.5, 7.5)


def test_what_a_session_takes_before_its_first_record_counts() -> None:
    opened = study_started(session=1, time=1_000_000, spent_ms=3_500)
    found = fold([LogRecord(1, opened), LogRecord(2, StudyEnded(reason="", complete=False, time=1_002_000))])
    assert found.elapsed_seconds == 5.5
