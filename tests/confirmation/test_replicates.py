"""Which trainings a confirmation begins, in which order, and that nothing but its log decides on it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.study.event_log import read
from harness.study.state import StudyState, fold
from tests.confirmation.drawn import KilledError, confirmation, confirmed, from_table, searched

NEAR = {0: [0.90, 0.91, 0.92], 1: [0.91, 0.89, 0.90], 2: [0.90, 0.90, 0.91], 3: [0.92, 0.90, 0.91]}


def places(state: StudyState) -> list[tuple[int, int]]:
    """Configuration and seed of every trial, in the order in which they were started."""
    found = state.experiment.confirmation
    assert found is not None
    known = [found.place(trial.params, trial.seed) for trial in state.trials.values()]
    return [place for place in known if place is not None]


def test_the_first_seed_of_all_comes_first_then_the_second_of_all(tmp_path: Path) -> None:
    state = confirmed(tmp_path / "c", confirmation(searched([0.9] * 4), 4, 3), from_table(NEAR))
    assert places(state) == [(index, position) for position in range(3) for index in range(4)]
    assert state.ended is not None
    assert (state.ended.complete, state.ended.reason) == (True, "all 12 trials have ended")
    seeds = {trial.seed for trial in state.trials.values()}
    assert len(seeds) == 3
    assert not seeds & {trial.seed for trial in searched([0.9] * 4).trials.values()}


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_who_is_clearly_behind_after_two_seeds_gets_no_third(tmp_path: Path, workers: int) -> None:
    table = NEAR | {1: [0.50, 0.51, 0.99]}
    state = confirmed(
        tmp_path / "c", confirmation(searched([0.9] * 4), 4, 3), from_table(table), workers=workers
    )
    assert sorted(places(state)) == [
        (index, position) for index in range(4) for position in range(2 if index == 1 else 3)
    ]
    assert state.ended is not None
    assert (state.ended.complete, state.ended.reason) == (True, "11 of 12 trainings were enough")


def test_where_small_is_good_the_largest_is_behind(tmp_path: Path) -> None:
    table = NEAR | {1: [5.0, 5.1, 5.0], 2: [0.1, 0.1, 0.1]}
    wanted = confirmation(searched([0.9] * 4, minimize=True), 4, 3)
    state = confirmed(tmp_path / "c", wanted, from_table(table))
    assert (1, 2) not in places(state)
    assert (2, 2) in places(state)


def test_who_fails_on_one_seed_gets_no_more(tmp_path: Path) -> None:
    table = NEAR | {1: [math.nan, 0.9, 0.9], 2: [0.9, 0.9, math.nan]}
    state = confirmed(tmp_path / "c", confirmation(searched([0.9] * 4), 4, 3), from_table(table), workers=1)
    assert (1, 1) not in places(state)
    assert (1, 2) not in places(state)
    assert (2, 2) in places(state)
    assert {trial.state for trial in state.trials.values()} == {"complete", "failed"}


@settings(max_examples=30, deadline=None)
@given(
    strikes=st.lists(st.integers(1, 25), min_size=1, max_size=6),
    workers=st.integers(1, 4),
    scores=st.lists(
        st.lists(st.one_of(st.floats(0.0, 1.0), st.just(math.nan)), min_size=4, max_size=4),
        min_size=1,
        max_size=4,
    ),
)
def test_cut_off_at_any_records_it_ends_as_if_nothing_had_happened(
    tmp_path_factory: pytest.TempPathFactory, strikes: list[int], workers: int, scores: list[list[float]]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    wanted = confirmation(searched([0.9] * len(scores)), len(scores), 4)
    table = from_table(dict(enumerate(scores)))
    whole = confirmed(folder / "whole", wanted, table, workers=1)
    seen = 0
    for strike in strikes:
        seen += 1 + strike
        try:
            confirmed(folder / "cut", wanted, table, workers=workers, stop_after=seen)
        except KilledError:
            seen = len(read(folder / "cut" / "events.jsonl"))
        else:
            break
    state = confirmed(folder / "cut", wanted, table, workers=workers)
    assert fold(read(folder / "cut" / "events.jsonl")).is_complete
    assert len(set(places(state))) == len(places(state)), "no training is begun twice"
    assert all(trial.has_ended for trial in state.trials.values())
    if not any(math.isnan(score) for found in scores for score in found):
        assert sorted(places(state)) == sorted(places(whole))
    assert {
        place: trial.score for place, trial in zip(places(state), state.trials.values(), strict=True)
    }.items() >= {
        place: trial.score
        for place, trial in zip(places(whole), whole.trials.values(), strict=True)
        if place in places(state)
    }.items()
