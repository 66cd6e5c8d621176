"""Intervals over images, against scipy and drawn samples; luck, against what it is in drawn studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from harness.analysis.bootstrap import (
    MOST_CELLS,
    bca_interval,
    resampled_means,
    resamples,
    score_interval,
    share_interval,
)
from harness.analysis.luck import luck
from tests.analysis.test_paired import drawn


def test_every_resample_has_as_many_images_and_the_seed_decides_which() -> None:
    counts = resamples(30, 7)
    assert counts.shape == (1000, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert np.array_equal(counts, resamples(30, 7))
    assert not np.array_equal(counts, resamples(30, 8))
    assert len(resamples(50_000, 0)) == MOST_CELLS // 50_000
    # A multinomial distribution: the mean is 1, the variance 1 − 1/n.
    assert counts.var() == pytest.approx(1 - 1 / 30, rel=0.05)


def test_means_are_those_of_the_drawn_images() -> None:
    values = np.random.default_rng(0).normal(size=(3, 40))
    counts = resamples(40, 1)
    rows = np.repeat(np.arange(40), counts[5].astype(int))
    np.testing.assert_allclose(resampled_means(values, counts)[5], values[:, rows].mean(axis=1), atol=1e-6)


def test_an_interval_is_scipys() -> None:
    """Both draw at random, so that their ends differ by a few hundredths of the interval's width."""
    values = np.random.default_rng(3).exponential(size=60)
    counts = resamples(60, 0)
    found = bca_interval(values, counts)
    expected = bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    width = expected.high - expected.low
    assert found is not None
    assert found.low == pytest.approx(expected.low, abs=0.06 * width)
    assert found.high == pytest.approx(expected.high, abs=0.06 * width)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(4), 0
    counts = resamples(300, 0)
    for _ in range(1000):
        found = bca_interval((rng.random(300) < 0.9).astype(float), counts)
        assert found is not None
        covered += found.low <= 0.9 <= found.high
    assert 930 <= covered <= 970


def test_the_interval_of_a_share_is_wilsons() -> None:
    for hits, images in ((0, 5), (5, 5), (17, 20), (412, 500)):
        found = share_interval(hits, images)
        assert found is not None
        expected = binomtest(hits, images).proportion_ci(method="wilson")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share_interval(0, 0) is None


def test_a_trial_without_a_miss_may_have_one_over_other_images() -> None:
    found = score_interval(np.ones(100), resamples(100, 0))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.963, 1.0), abs=1e-3)
    assert score_interval(np.full(100, 0.5), resamples(100, 0)) is None


@pytest.mark.parametrize(("trials", "images", "accuracy"), [(30, 500, 0.9), (10, 200, 0.7), (50, 1000, 0.6)])
def test_the_luck_of_equally_good_trials_is_what_their_best_score_has_too_much(
    trials: int, images: int, accuracy: float
) -> None:
    """Over 60 studies the mean estimate is the mean truth within 15 %, and each lies within a factor of 2.5.

    By how much the validation images are easier than others for all trials is no matter of choosing one.
    """
    rng = np.random.default_rng(5)
    true, estimated = np.empty(60), np.empty(60)
    for study in range(60):
        values = drawn(rng, np.full(trials, accuracy), images)
        true[study] = values.mean(axis=1).max() - values.mean()
        estimated[study] = luck(values, resamples(images, study, most=200))
    assert estimated.mean() == pytest.approx(true.mean(), rel=0.15)
    assert estimated.min() > true.mean() / 2.5
    assert estimated.max() < true.mean() * 2.5


def test_a_winner_by_far_owes_nothing_to_luck() -> None:
    values = drawn(np.random.default_rng(6), np.array([0.7] * 9 + [0.95]), 1000)
    assert luck(values, resamples(1000, 0)) < 0.002
    assert luck(values[:1], resamples(1000, 0)) == 0
