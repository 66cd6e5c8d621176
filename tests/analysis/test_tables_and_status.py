"""Leaderboard and status: truthful rankings of folded logs."""

from __future__ import annotations

import math
from typing import Any

from harness.analysis.status import status
from harness.analysis.tables import leaderboard
from harness.experiment.parameters import complete
from harness.records import (
    EpochEnded,
    LogRecord,
    SegmentEnded,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialStarted,
)
from harness.study.state import StudyState, best, fold
from tests.studies import experiment, objective, study_started


def state(direction: str, trials: list[tuple[str, float | None]]) -> StudyState:
    metric = "val_accuracy" if direction == "maximize" else "val_loss"
    events: list[Any] = [
        study_started(experiment(objectives=objective(metric, direction)), trials=len(trials), time=1000)
    ]
    for number, (state, score) in enumerate(trials):
        params = {"depth": number, "width": 8}
        events += [
            TrialStarted(trial=number, params=params, sampled={}, seed=0, time=2000),
            SegmentStarted(trial=number, attempt=1, start=0, stop=1, worker=0, time=2000),
            EpochEnded(
                trial=number,
                attempt=1,
                epoch=1,
                time=3000,
                metrics={metric: math.nan if score is None else score},
            ),
        ]
        if state != "running":
            events.append(
                SegmentEnded(
                    trial=number, attempt=1, epoch=1, over=False, seconds=1.5, evaluations=[], time=3000
                )
            )
        if state in ("complete", "pruned", "failed"):
            events.append(
                TrialEnded(
                    trial=number,
                    state=state,  # type: ignore[arg-type]
                    score=score,
                    values=None if score is None else [score],
                    epoch=1,
                    reason=f"was {state}",
                    failure="diverged" if state == "failed" else None,
                    traceback="",
                    time=4000,
                )
            )
    return fold(LogRecord(seq, event) for seq, event in enumerate(events, start=1))


def test_complete_trials_come_first_by_score_then_the_stopped_ones() -> None:
    found = leaderboard(
        state(
            "maximize",
            [
                ("pruned", 0.99),
                ("complete", 0.7),
                ("failed", None),
                ("complete", 0.9),
                ("complete", None),
                ("running", 0.1),
            ],
        )
    )
    assert found["trial"].tolist() == [3, 1, 4, 0, 5, 2]
    assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["state"].tolist()[-1] == "failed: diverged"
    assert "depth" in found.columns
    assert "width" not in found.columns


def test_losses_rank_upwards() -> None:
    found = state("minimize", [("complete", 0.7), ("complete", 0.2), ("complete", 0.5)])
    assert leaderboard(found)["trial"].tolist() == [1, 2, 0]
    winner = best(found)
    assert winner is not None
    assert winner.number == 1
    assert leaderboard(found, top=2)["trial"].tolist() == [1, 2]


def test_the_best_is_complete_finite_and_of_equals_the_first() -> None:
    winner = best(
        state("maximize", [("pruned", 1.0), ("complete", None), ("complete", 0.5), ("complete", 0.5)])
    )
    assert winner is not None
    assert winner.number == 2
    assert best(state("maximize", [("pruned", 1.0), ("failed", None)])) is None


def test_status_counts_and_explains() -> None:
    found = status(
        state("maximize", [("complete", 0.5), ("failed", None), ("running", None), ("paused", 0.2)])
    )
    assert found.states == {"complete": 1, "failed": 1, "running": 1, "paused": 1}
    assert (found.best_trial, found.best_score) == (0, 0.5)
    assert found.failures == {"1": "diverged: was failed"}
    assert found.elapsed == 2.0
    assert found.ended is None
    assert not found.complete


def test_an_ended_study_says_why() -> None:
    told = state("maximize", [("complete", 0.5)])
    told.apply(LogRecord(99, StudyEnded(reason="interrupted", complete=False, time=9000)))
    found = status(told)
    assert (found.ended, found.complete) == ("interrupted", False)


def test_a_study_without_trials_has_the_columns_of_one_with_trials() -> None:
    """As it is right after its start."""
    empty, full = leaderboard(state("maximize", [])), leaderboard(state("maximize", [("complete", 0.5)]))
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)


def test_a_leaderboard_takes_a_plug_ins_own_parameters_as_they_are() -> None:
    searched = experiment(model="mine:build", space={"views": ["one", "two"], "stem": [1, 2]})
    events: list[Any] = [study_started(searched, trials=2)]
    for number, (views, stem) in enumerate([("one", 1), ("two", 2)]):
        params = complete({"views": views, "stem": stem}, searched.model)
        events.append(TrialStarted(trial=number, params=params, sampled={}, seed=0, time=2000))
    found = leaderboard(fold(LogRecord(seq, event) for seq, event in enumerate(events, start=1)))
    assert list(found["views"]) == ["one", "two"]
    assert list(found["stem"]) == [1, 2]
