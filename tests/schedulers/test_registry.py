"""Every scheduler that is registered keeps the promises of its protocol: one suite, run on each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import TrialState
from harness.schedulers import SCHEDULERS
from harness.schedulers.protocol import Scheduler

GIVEN: dict[str, dict[str, Any]] = {"threshold": {"lower": 0.2}}
"""What kinds have no defaults for."""


def made(kind: str, epochs: int) -> Scheduler:
    known = SCHEDULERS[kind]
    return known.build(known.settings(kind=kind, **GIVEN.get(kind, {})), epochs, True)


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_kind_is_described(kind: str) -> None:
    assert SCHEDULERS[kind].about.endswith(".")
    assert SCHEDULERS[kind].settings(kind=kind, **GIVEN.get(kind, {})).kind == kind


@pytest.mark.parametrize("kind", SCHEDULERS)
@given(epochs=st.integers(1, 100))
def test_rungs_grow_and_end_with_the_last_epoch(kind: str, epochs: int) -> None:
    rungs = made(kind, epochs).rungs
    assert rungs == sorted(set(rungs))
    assert rungs[0] >= 1
    assert rungs[-1] == epochs
    assert made(kind, epochs).start(0) in rungs


@pytest.mark.parametrize("kind", SCHEDULERS)
@given(epochs=st.integers(1, 100), trial=st.integers(0, 50))
def test_a_learning_rate_comes_down_wherever_a_trial_is_compared(kind: str, epochs: int, trial: int) -> None:
    scheduler = made(kind, epochs)
    cycles = scheduler.cycles(trial)
    assert list(cycles) == sorted(set(cycles))
    assert cycles[0] >= 1
    assert cycles[-1] == epochs
    first = scheduler.start(trial)
    if SCHEDULERS[kind].compares_at_rungs:
        assert first == cycles[0]
        assert set(cycles) <= set(scheduler.rungs)
    else:
        assert cycles == (epochs,)
    scheduler.report(trial, first, (0.5,))
    assert scheduler.cycles(trial) == cycles


@pytest.mark.parametrize("kind", SCHEDULERS)
@settings(max_examples=50, deadline=None)
@given(
    epochs=st.integers(1, 30),
    scores=st.lists(st.one_of(st.floats(0.0, 1.0), st.none()), min_size=1, max_size=30),
    workers=st.integers(1, 5),
    choose=st.randoms(use_true_random=False),
)
def test_every_study_ends_and_no_trial_goes_back_or_too_far(
    kind: str, epochs: int, scores: list[float | None], workers: int, choose: Any
) -> None:
    """Several workers train trials whose segments end in any order; those without a score fail."""
    scheduler = made(kind, epochs)
    reached: dict[int, int] = {}
    running: dict[int, int] = {}
    over: set[int] = set()
    while True:
        while len(running) < workers:
            promotion = scheduler.promote_next(all_started=len(reached) == len(scores))
            if promotion is not None:
                assert promotion.trial not in running.keys() | over
                assert reached[promotion.trial] == promotion.start < promotion.stop
                if SCHEDULERS[kind].compares_at_rungs:
                    assert {promotion.start, promotion.stop} <= set(scheduler.cycles(promotion.trial))
                running[promotion.trial] = promotion.stop
            elif len(reached) < len(scores):
                trial = len(reached)
                reached[trial], running[trial] = 0, scheduler.start(trial)
            else:
                break
            assert max(running.values()) <= epochs
        if not running:
            break
        trial = choose.choice(sorted(running))
        reached[trial] = running.pop(trial)
        assert reached[trial] in scheduler.rungs
        score = scores[trial]
        stopped = score is not None and scheduler.report(trial, reached[trial], (score,))
        if score is None or stopped or reached[trial] == epochs:
            over.add(trial)
            ended: TrialState = "complete" if reached[trial] == epochs else "pruned"
            scheduler.end(trial, "failed" if score is None else ended)
        candidates = list(scheduler.candidates())
        assert all(reached[one.trial] == one.start < one.stop == epochs for one in candidates)
        assert not {one.trial for one in candidates} & (running.keys() | over)
    assert len(reached) == len(scores)
