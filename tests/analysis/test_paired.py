"""Comparisons image by image, against scipy, worked examples and what holds for many drawn studies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from harness.analysis.bootstrap import resamples
from harness.analysis.paired import accuracy_difference, could_be_best, images_needed, mcnemar


def right(both: int, only_first: int, only_second: int, none: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_first, only_second, none]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_mcnemar_by_hand() -> None:
    """6 against 1 of 7: 2·(1 + 7)/128."""
    found = mcnemar(*right(20, 6, 1, 3))
    assert (found.only_first, found.only_second) == (6, 1)
    assert found.p == 16 / 128
    assert mcnemar(*right(5, 0, 0, 2)).p == 1


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test(first: int, second: int) -> None:
    found = mcnemar(*right(3, first, second, 2))
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_ten_thousand_images_that_all_differ() -> None:
    assert mcnemar(*right(0, 5100, 4900, 0)).p == pytest.approx(binomtest(5100, 10_000).pvalue, rel=1e-9)


def test_images_needed_by_hand() -> None:
    """40 images of 1,000 speak for one, 20 for the other: d = 0.02, s² = (0.06 − 0.0004)·1000/999."""
    differences = np.repeat([1.0, -1.0, 0.0], [40, 20, 940])
    factor = norm.ppf(0.975) + norm.ppf(0.8)
    assert images_needed(differences) == int(np.ceil(factor**2 * (0.0596 * 1000 / 999) / 0.02**2)) == 1171
    assert images_needed(-differences) == 1171
    assert images_needed(np.repeat([1.0, -1.0], 5)) is None


def test_as_many_images_as_are_needed_tell_trials_apart_four_times_of_five() -> None:
    """One is better on 6 % of all images, worse on 4 %."""
    rng = np.random.default_rng(1)
    needed = images_needed(np.repeat([1.0, -1.0, 0.0], [600, 400, 9000]))
    assert needed is not None
    told = 0
    for _ in range(1000):
        for_one, for_other, _ = rng.multinomial(needed, [0.06, 0.04, 0.9])
        spread = np.sqrt(for_one + for_other - (for_one - for_other) ** 2 / needed)
        told += (for_one - for_other) / spread > norm.ppf(0.975)
    assert 750 <= told <= 850


def drawn(rng: np.random.Generator, accuracies: np.ndarray, images: int) -> np.ndarray:
    """Hits of trials that find the same images hard, 0 or 1, (M, n)."""
    hard = rng.normal(size=images)
    own = rng.normal(size=(len(accuracies), images))
    return (0.7 * hard + np.sqrt(1 - 0.49) * own < norm.ppf(accuracies)[:, None]).astype(float)


def test_of_equally_good_trials_each_is_kept_in_95_of_100_studies() -> None:
    """Which one is truly best is arbitrary among equals."""
    rng, kept, best_alone = np.random.default_rng(2), 0.0, 0
    for study in range(200):
        values = drawn(rng, np.full(20, 0.85), 400)
        found = could_be_best(values, resamples(400, study, most=400))
        kept += found.mean()
        best_alone += found.sum() == 1
    assert 0.93 <= kept / 200 <= 0.97
    assert best_alone == 0


def test_a_trial_that_is_clearly_better_is_told_from_all_others() -> None:
    rng = np.random.default_rng(3)
    accuracies = np.array([0.8] * 10 + [0.9])
    found = could_be_best(drawn(rng, accuracies, 2000), resamples(2000, 0))
    assert found.tolist() == [False] * 10 + [True]


def test_a_twin_of_the_best_cannot_be_told_from_it() -> None:
    rng = np.random.default_rng(4)
    worse, best = drawn(rng, np.array([0.7, 0.9]), 1000)
    found = could_be_best(np.stack([best, worse, best]), resamples(1000, 0))
    assert found.tolist() == [True, False, True]


def test_the_interval_of_a_difference_of_accuracies_as_published() -> None:
    """Newcombe 1998, table of worked examples, method 10."""
    assert np.round(interval_of(36, 12, 2, 0), 4).tolist() == [0.0569, 0.3404]
    assert np.round(interval_of(0, 54, 0, 0), 4).tolist() == [0.9061, 1.0]


@given(st.tuples(*[st.integers(0, 200)] * 4).filter(any))
def test_the_interval_of_a_difference_is_the_same_seen_from_the_other_side(
    counts: tuple[int, int, int, int],
) -> None:
    both, only_first, only_second, none = counts
    low, high = interval_of(both, only_first, only_second, none)
    assert interval_of(both, only_second, only_first, none) == pytest.approx((-high, -low))
    assert -1 <= low <= (only_first - only_second) / sum(counts) <= high <= 1


@pytest.mark.parametrize("shares", [(0.9, 0.06, 0.02, 0.02), (0.97, 0.02, 0.005, 0.005)])
def test_the_interval_of_a_difference_covers_it(shares: tuple[float, float, float, float]) -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        low, high = interval_of(*rng.multinomial(300, shares))
        covered += low <= shares[1] - shares[2] <= high
    assert covered >= 930


def interval_of(both: int, only_first: int, only_second: int, none: int) -> tuple[float, float]:
    found = accuracy_difference(*right(both, only_first, only_second, none))
    return found.low, found.high
