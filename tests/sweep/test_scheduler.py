"""The scheduler's decisions, against hand-worked examples and a simulation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sweep.scheduler import Asha, FullTraining, Hyperband, Promotion, Screen, rung_epochs


@pytest.mark.parametrize(
    ("low", "high", "reduction", "expected"),
    [
        (1, 27, 3, [1, 3, 9, 27]),
        (1, 15, 3, [1, 3, 15]),
        (2, 16, 2, [2, 4, 8, 16]),
        (1, 3, 3, [1, 3]),
        (1, 1, 3, [1]),
        (5, 3, 3, [3]),
        (1, 2, 4, [1, 2]),
    ],
)
def test_rungs_grow_by_the_reduction_and_end_at_the_last_epoch(
    low: int, high: int, reduction: int, expected: list[int]
) -> None:
    assert rung_epochs(low, high, reduction) == expected


@given(st.integers(1, 50), st.integers(1, 400), st.integers(2, 10))
def test_rungs_are_increasing_and_end_at_the_last_epoch(low: int, high: int, reduction: int) -> None:
    rungs = rung_epochs(low, high, reduction)
    assert rungs == sorted(set(rungs))
    assert rungs[-1] == high
    assert rungs[0] >= min(low, high)


def test_full_training_goes_to_the_end_at_once() -> None:
    scheduler = FullTraining(7)
    scheduler.report(0, 7, 1.0)
    assert scheduler.first_stop(0) == 7
    assert scheduler.promotion(drained=True) is None


def test_hand_worked_promotions() -> None:
    """Three results at epoch 1 let the best go on to 3; the second best follows after six results."""
    asha = Asha(min_epochs=1, max_epochs=9, reduction=3)
    asha.report(0, 1, 0.5)
    asha.report(1, 1, 0.7)
    assert asha.promotion(drained=False) is None
    asha.report(2, 1, 0.6)
    assert asha.promotion(drained=False) == Promotion(1, start=1, stop=3)
    assert asha.promotion(drained=False) is None
    for trial, score in [(3, 0.1), (4, 0.65), (5, 0.2)]:
        asha.report(trial, 1, score)
    assert asha.promotion(drained=False) == Promotion(4, start=1, stop=3)
    asha.report(1, 3, 0.8)
    asha.report(4, 3, 0.9)
    assert asha.promotion(drained=False) is None
    assert asha.promotion(drained=True) == Promotion(4, start=3, stop=9)


def test_ties_go_to_the_earlier_trial() -> None:
    asha = Asha(min_epochs=1, max_epochs=3, reduction=3)
    for trial in (2, 0, 1):
        asha.report(trial, 1, 0.5)
    promotion = asha.promotion(drained=False)
    assert promotion is not None
    assert promotion.trial == 0


def test_a_failed_trial_makes_room_for_the_next_best() -> None:
    asha = Asha(min_epochs=1, max_epochs=3, reduction=3)
    for trial, score in enumerate((0.9, 0.8, 0.7)):
        asha.report(trial, 1, score)
    assert asha.promotion(drained=True) == Promotion(0, start=1, stop=3)
    asha.forget(0)
    assert asha.promotion(drained=True) == Promotion(1, start=1, stop=3)


def test_not_a_number_never_takes_a_place() -> None:
    asha = Asha(min_epochs=1, max_epochs=3, reduction=2)
    asha.report(0, 1, float("nan"))
    asha.report(1, 1, 0.1)
    promotion = asha.promotion(drained=True)
    assert promotion is not None
    assert promotion.trial == 1


def test_a_study_of_one_trial_is_trained_to_the_end() -> None:
    asha = Asha(min_epochs=1, max_epochs=27, reduction=3)
    epoch, stops = 0, []
    stop = asha.first_stop(0)
    while True:
        epoch = stop
        stops.append(epoch)
        asha.report(0, epoch, 0.5)
        promotion = asha.promotion(drained=True)
        if promotion is None:
            break
        stop = promotion.stop
    assert stops == [1, 3, 9, 27]


def simulate(seed: int, workers: int) -> tuple[int, bool]:
    """50 trials with perfect ranks in a random order: the epochs used, and whether the best finished."""
    asha = Asha(min_epochs=1, max_epochs=27, reduction=3)
    rng = random.Random(seed)
    quality = rng.sample(range(1000), 50)
    epochs, started, running, finished = 0, 0, [], []
    while True:
        while len(running) < workers:
            promotion = asha.promotion(drained=started == 50 and not running)
            if promotion is not None:
                running.append((promotion.trial, promotion.start, promotion.stop))
            elif started < 50:
                running.append((started, 0, asha.first_stop(started)))
                started += 1
            else:
                break
        if not running:
            break
        trial, start, stop = running.pop(rng.randrange(len(running)))
        epochs += stop - start
        asha.report(trial, stop, quality[trial])
        if stop == 27:
            finished.append(trial)
    return epochs, max(range(50), key=quality.__getitem__) in finished


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_with_perfect_ranks_the_best_trial_is_trained_to_the_end(seed: int, workers: int) -> None:
    """In no order does it take fewer epochs than halving in step: 50·1 + 16·2 + 5·6 + 1·18 = 130."""
    epochs, best_finished = simulate(seed, workers)
    assert best_finished
    assert 130 <= epochs < 50 * 27


def test_early_promotions_cost_less_than_half_of_what_halving_in_step_does() -> None:
    """On average over random orders 186 epochs instead of 130; full training would take 1,350."""
    used = [simulate(seed, workers=2)[0] for seed in range(200)]
    assert sum(used) / len(used) < 130 * 1.5


def test_a_screening_sees_everything_before_the_best_go_on() -> None:
    screen = Screen(min_epochs=1, max_epochs=9, keep=2)
    for trial, score in enumerate((0.3, 0.9, 0.5, 0.7)):
        assert screen.first_stop(trial) == 1
        screen.report(trial, 1, score)
        assert screen.promotion(drained=False) is None
    assert screen.promotion(drained=True) == Promotion(1, start=1, stop=9)
    assert screen.promotion(drained=False) == Promotion(3, start=1, stop=9)
    assert screen.promotion(drained=True) is None
    screen.forget(3)
    assert screen.promotion(drained=True) == Promotion(2, start=1, stop=9)


def test_hyperband_deals_trials_out_as_the_paper_does() -> None:
    """R = 27 with η = 3: brackets of 27, 12, 6 and 4 trials that begin at epochs 1, 3, 9 and 27."""
    hyperband = Hyperband(1, 27, 3)
    stops = [hyperband.first_stop(trial) for trial in range(49)]
    assert {stop: stops.count(stop) for stop in set(stops)} == {1: 27, 3: 12, 9: 6, 27: 4}
    assert stops == [hyperband.first_stop(trial + 49) for trial in range(49)]
    assert set(stops[:8]) >= {1, 3, 9}


def test_brackets_do_not_compete_with_each_other() -> None:
    hyperband = Hyperband(1, 9, 3)
    first = [trial for trial in range(40) if hyperband.first_stop(trial) == 1][:3]
    other = next(trial for trial in range(40) if hyperband.first_stop(trial) == 3)
    for place, trial in enumerate(first):
        hyperband.report(trial, 1, 0.1 * place)
    hyperband.report(other, 3, 0.99)
    assert hyperband.promotion(drained=False) == Promotion(first[2], start=1, stop=3)
    assert hyperband.promotion(drained=False) is None
