"""The scheduler's decisions, against hand-worked examples and a simulation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.schedulers import SCHEDULERS
from harness.schedulers.full import FullTraining
from harness.schedulers.halving import Asha, rung_epochs
from harness.schedulers.hyperband import Hyperband
from harness.schedulers.protocol import Promotion
from harness.schedulers.pruners import StopOnly
from harness.schedulers.ranking import best_first
from harness.schedulers.screening import Screen


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
    assert scheduler.start(0) == 7
    scheduler.report(0, 7, (1.0,))
    assert scheduler.promote_next(all_started=True) is None


def asha_with(scores: list[float], *, max_epochs: int = 9, reduction: int = 3) -> Asha:
    """All of these trials have paused on the first rung, epoch 1."""
    asha = Asha(min_epochs=1, max_epochs=max_epochs, reduction=reduction)
    for trial, score in enumerate(scores):
        asha.start(trial)
        asha.report(trial, 1, (score,))
    return asha


def test_hand_worked_promotions() -> None:
    """Three results at epoch 1 let the best go on to 3; the second best follows after six results."""
    asha = asha_with([0.5, 0.7])
    assert asha.promote_next(all_started=False) is None
    asha.start(2)
    asha.report(2, 1, (0.6,))
    assert asha.promote_next(all_started=False) == Promotion(1, start=1, stop=3)
    assert asha.promote_next(all_started=False) is None
    for trial, score in [(3, 0.1), (4, 0.65), (5, 0.2)]:
        asha.start(trial)
        asha.report(trial, 1, (score,))
    assert asha.promote_next(all_started=False) == Promotion(4, start=1, stop=3)
    asha.report(1, 3, (0.8,))
    assert asha.promote_next(all_started=True) is None  # trial 4 is still on its way to that rung
    asha.report(4, 3, (0.9,))
    assert asha.promote_next(all_started=False) is None
    assert asha.promote_next(all_started=True) == Promotion(4, start=3, stop=9)


def test_a_wrong_early_promotion_uses_up_a_place_until_the_rung_is_settled() -> None:
    """0.3 was promoted as the best of three; 0.9 and 0.8 came later, and two of nine places are left."""
    asha = asha_with([0.1, 0.2, 0.3])
    assert asha.promote_next(all_started=False) == Promotion(2, start=1, stop=3)
    for trial, score in enumerate((0.9, 0.8), start=3):
        asha.start(trial)
        asha.report(trial, 1, (score,))
    assert asha.promote_next(all_started=False) is None
    asha.start(5)
    assert asha.promote_next(all_started=True) is None
    asha.report(5, 1, (0.0,))
    assert asha.promote_next(all_started=True) == Promotion(3, start=1, stop=3)
    assert asha.promote_next(all_started=True) == Promotion(4, start=1, stop=3)
    assert asha.promote_next(all_started=True) is None


def test_ties_go_to_the_earlier_trial() -> None:
    asha = asha_with([0.5, 0.5, 0.5], max_epochs=3)
    assert asha.promote_next(all_started=False) == Promotion(0, start=1, stop=3)


def test_a_failed_trial_makes_room_for_the_next_best() -> None:
    asha = asha_with([0.9, 0.8, 0.7], max_epochs=3)
    assert asha.promote_next(all_started=True) == Promotion(0, start=1, stop=3)
    asha.end(0, "failed")
    assert asha.promote_next(all_started=True) == Promotion(1, start=1, stop=3)


def test_a_trial_that_is_over_keeps_its_place_but_is_not_promoted() -> None:
    asha = asha_with([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], max_epochs=3)
    asha.end(0, "complete")
    assert asha.promote_next(all_started=True) == Promotion(1, start=1, stop=3)
    assert asha.promote_next(all_started=True) is None


def test_not_a_number_never_takes_a_place() -> None:
    asha = asha_with([float("nan"), 0.1], max_epochs=2, reduction=2)
    assert asha.promote_next(all_started=True) == Promotion(1, start=1, stop=2)


def test_a_study_of_one_trial_is_trained_to_the_end() -> None:
    asha = Asha(min_epochs=1, max_epochs=27, reduction=3)
    stops = [asha.start(0)]
    while True:
        asha.report(0, stops[-1], (0.5,))
        promotion = asha.promote_next(all_started=True)
        if promotion is None:
            break
        stops.append(promotion.stop)
    assert stops == [1, 3, 9, 27]


def test_several_objectives_rank_by_fronts_then_by_distance() -> None:
    """Trials 0, 1, 4 are not dominated; 4 lies between the other two; 2 is behind 0, 3 behind all."""
    values = {0: (0.9, -5.0), 1: (0.5, -1.0), 2: (0.8, -6.0), 3: (0.4, -7.0), 4: (0.7, -3.0)}
    assert best_first(values) == [0, 1, 4, 2, 3]
    assert best_first({0: (0.5, 1.0), 1: (0.5, 1.0)}) == [0, 1]


@given(st.dictionaries(st.integers(0, 50), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_whoever_is_dominated_ranks_behind(values: dict[int, tuple[int, int]]) -> None:
    ranked = best_first({trial: (float(a), float(b)) for trial, (a, b) in values.items()})
    assert sorted(ranked) == sorted(values)
    for place, behind in enumerate(ranked):
        for ahead in ranked[place + 1 :]:
            (a, b), (c, d) = values[ahead], values[behind]
            assert not (a >= c and b >= d and (a, b) != (c, d))


def simulate(seed: int, workers: int) -> tuple[int, bool]:
    """50 trials with perfect ranks in a random order: the epochs used, and whether the best finished."""
    asha = Asha(min_epochs=1, max_epochs=27, reduction=3)
    rng = random.Random(seed)
    quality = rng.sample(range(1000), 50)
    epochs, started, running, finished = 0, 0, [], []
    while True:
        while len(running) < workers:
            promotion = asha.promote_next(all_started=started == 50)
            if promotion is not None:
                running.append((promotion.trial, promotion.start, promotion.stop))
            elif started < 50:
                running.append((started, 0, asha.start(started)))
                started += 1
            else:
                break
        if not running:
            break
        trial, start, stop = running.pop(rng.randrange(len(running)))
        epochs += stop - start
        asha.report(trial, stop, (quality[trial],))
        if stop == 27:
            finished.append(trial)
    return epochs, max(range(50), key=quality.__getitem__) in finished


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_with_perfect_ranks_the_best_trial_is_trained_to_the_end(seed: int, workers: int) -> None:
    """In no order does it take fewer epochs than halving in step: 50·1 + 16·2 + 5·6 + 1·18 = 130."""
    epochs, best_finished = simulate(seed, workers)
    assert best_finished
    assert 130 <= epochs < 50 * 27


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_epochs_used_are_those_computed_for_perfect_ranks(workers: int) -> None:
    """With rungs at 1, 3, 9, 27 and a third going on: 50·(1 + 2/3 + 6/9 + 18/27) = 150."""
    used = [simulate(seed, workers)[0] for seed in range(200)]
    assert sum(used) / len(used) == pytest.approx(150, rel=0.05)


def test_a_screening_sees_everything_before_the_best_go_on() -> None:
    screen = Screen(min_epochs=1, max_epochs=9, keep=2)
    for trial in range(4):
        assert screen.start(trial) == 1
    for trial, score in enumerate((0.3, 0.9, 0.5, 0.7)):
        assert screen.promote_next(all_started=True) is None
        screen.report(trial, 1, (score,))
    assert screen.promote_next(all_started=True) == Promotion(1, start=1, stop=9)
    assert screen.promote_next(all_started=True) == Promotion(3, start=1, stop=9)
    assert screen.promote_next(all_started=True) is None
    screen.end(3, "failed")
    assert screen.promote_next(all_started=True) == Promotion(2, start=1, stop=9)


def test_the_candidates_for_the_last_minutes_are_the_best_that_wait_on_the_highest_rung() -> None:
    asha = Asha(min_epochs=1, max_epochs=9, reduction=3)
    for trial, score in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.6)):
        asha.start(trial)
        asha.report(trial, 1, (score,))
    assert asha.promote_next(all_started=False) == Promotion(5, start=1, stop=3)
    assert list(asha.candidates()) == [Promotion(4, start=1, stop=9)]
    asha.report(5, 3, (0.9,))
    assert list(asha.candidates()) == [Promotion(5, start=3, stop=9), Promotion(4, start=1, stop=9)]
    asha.mark_promoted(5, 3, 9)
    asha.end(4, "complete")
    assert list(asha.candidates()) == []

    screen = Screen(min_epochs=1, max_epochs=9, keep=2)
    for trial, score in enumerate((0.3, 0.9, 0.5)):
        screen.start(trial)
        screen.report(trial, 1, (score,))
    assert list(screen.candidates()) == [Promotion(1, start=1, stop=9), Promotion(2, start=1, stop=9)]
    screen.mark_promoted(1, 1, 9)
    assert [one.trial for one in screen.candidates()] == [2]


def test_hyperband_deals_trials_out_as_the_paper_does() -> None:
    """R = 27 with η = 3: brackets of 27, 12, 6 and 4 trials that begin at epochs 1, 3, 9 and 27."""
    hyperband = Hyperband(1, 27, 3)
    stops = [hyperband.start(trial) for trial in range(49)]
    assert {stop: stops.count(stop) for stop in set(stops)} == {1: 27, 3: 12, 9: 6, 27: 4}
    assert stops == [hyperband.start(trial + 49) for trial in range(49)]
    assert set(stops[:8]) >= {1, 3, 9}


def test_brackets_do_not_compete_with_each_other() -> None:
    hyperband = Hyperband(1, 9, 3)
    first = [trial for trial in range(40) if hyperband.bracket(trial) is hyperband.brackets[0]][:3]
    other = next(trial for trial in range(40) if hyperband.bracket(trial) is hyperband.brackets[1])
    for place, trial in enumerate(first):
        hyperband.start(trial)
        hyperband.report(trial, 1, (0.1 * place,))
    hyperband.start(other)
    hyperband.report(other, 3, (0.99,))
    assert hyperband.promote_next(all_started=False) == Promotion(first[2], start=1, stop=3)
    assert hyperband.promote_next(all_started=False) is None


def stop_only(kind: str, *, maximize: bool = True, **settings: object) -> StopOnly:
    found = SCHEDULERS[kind].build(SCHEDULERS[kind].settings(kind=kind, **settings), 10, maximize)
    assert isinstance(found, StopOnly)
    return found


def run_alone(scheduler: StopOnly, trial: int, values: list[float]) -> int:
    """Train one trial as far as the scheduler lets it, with these values at its epochs."""
    epoch = scheduler.start(trial)
    while True:
        scheduler.report(trial, epoch, (values[epoch - 1],))
        promotion = scheduler.promote_next(all_started=False)
        if promotion is None:
            break
        assert promotion == Promotion(trial, start=epoch, stop=epoch + 1)
        epoch = promotion.stop
    scheduler.end(trial, "complete" if epoch == 10 else "pruned")
    return epoch


def test_median_stops_whoever_falls_behind_half_of_the_complete_ones() -> None:
    scheduler = stop_only("median", startup_trials=2)
    assert run_alone(scheduler, 0, [0.5] * 10) == 10
    assert run_alone(scheduler, 1, [0.7] * 10) == 10
    assert run_alone(scheduler, 2, [0.61] * 10) == 10
    assert run_alone(scheduler, 3, [0.4] * 3 + [0.9] * 7) == 1
    assert run_alone(scheduler, 4, [0.65] * 3 + [0.6] * 7) == 10  # its best so far counts


def test_percentile_patient_and_threshold_stop_by_their_own_rules() -> None:
    percentile = stop_only("percentile", percentile=75, startup_trials=1)
    assert run_alone(percentile, 0, [0.5] * 10) == 10
    assert run_alone(percentile, 1, [0.6] * 10) == 10
    assert run_alone(percentile, 2, [0.49] * 10) == 1
    patient = stop_only("patient", patience=2)
    assert run_alone(patient, 0, [0.5, 0.6, 0.7, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9, 0.9]) == 6
    threshold = stop_only("threshold", lower=0.3)
    assert run_alone(threshold, 0, [0.5, 0.2] + [0.9] * 8) == 2


def test_a_threshold_is_in_the_objectives_own_units() -> None:
    """A loss above 2 is stopped; the scheduler is told −loss."""
    scheduler = stop_only("threshold", maximize=False, upper=2.0)
    assert run_alone(scheduler, 0, [-1.0, -1.5, -2.5] + [-1.0] * 7) == 3
