"""Calibration against worked examples, scipy, and predictions whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from harness.analysis.calibration import calibration, expected_error, fitted_temperature, reliability
from harness.predictions import StoredPredictions


def drawn(temperature: float, images: int = 20_000) -> StoredPredictions:
    """Labels that are drawn from the probabilities of logits/T."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (images, 4)).astype(np.float32)
    chances = np.exp(logits / temperature)
    chances /= chances.sum(axis=1, keepdims=True)
    labels = (rng.random(images)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    return StoredPredictions(logits, np.minimum(labels, 3).astype(np.int32))


def test_bins_and_error_by_hand() -> None:
    """Two images at 0.6 (one right), which is a bound and belongs below it; one right at 0.95, one at 1."""
    confidence = np.array([0.6, 0.6, 0.95, 1.0])
    bins = reliability(confidence, np.array([True, False, True, False]))
    held = [(round(one.low * 15), one.images, one.confidence, one.accuracy) for one in bins if one.images]
    assert held == [(8, 2, pytest.approx(0.6), 0.5), (14, 2, pytest.approx(0.975), 0.5)]
    assert expected_error(bins) == pytest.approx((2 * 0.1 + 2 * 0.475) / 4)


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_and_mends_the_error(truth: float) -> None:
    found = calibration(drawn(truth))
    assert found.temperature == pytest.approx(truth, rel=0.05)
    assert found.error_after is not None
    assert found.error_after < 0.02
    assert (found.error > 0.05) == (truth != 1)


def test_the_temperature_is_where_scipy_finds_the_least_cross_entropy() -> None:
    stored = drawn(1.7, images=300)
    logits = stored.logits.astype(np.float64)

    def cross_entropy(temperature: float) -> float:
        chances = np.exp(logits / temperature)
        return float(log_loss(stored.labels, chances / chances.sum(axis=1, keepdims=True)))

    expected = minimize_scalar(cross_entropy, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9})
    assert fitted_temperature(logits, stored.labels) == pytest.approx(expected.x, rel=1e-6)


def test_where_every_image_is_right_no_temperature_is_the_best() -> None:
    labels = np.arange(40, dtype=np.int32) % 4
    found = calibration(StoredPredictions(np.eye(4, dtype=np.float32)[labels], labels))
    assert found.temperature is None
    assert found.error_after is None
