"""Schedules at the points where they can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.experiment.parameters import complete
from harness.model.schedules import learning_rates


def whole(steps: int = 10, epochs: int = 10, **changes: Any) -> np.ndarray:
    params = complete({"learning_rate": 1.0, **changes})
    return np.concatenate([learning_rates(params, epoch, epochs, steps) for epoch in range(1, epochs + 1)])


def test_constant_is_constant() -> None:
    assert set(whole()) == {1.0}


def test_cosine_falls_from_the_peak_to_nothing() -> None:
    found = whole(schedule="cosine")
    assert found[0] == 1
    assert found[50] == pytest.approx(0.5)
    assert found[-1] < 0.001
    assert (np.diff(found) < 0).all()


def test_step_divides_by_ten_twice() -> None:
    found = whole(schedule="step")
    np.testing.assert_allclose(found[[0, 49, 50, 74, 75, 99]], [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_one_cycle_rises_then_falls() -> None:
    found = whole(schedule="one_cycle")
    peak = int(found.argmax())
    assert 28 <= peak <= 31
    assert found.max() == pytest.approx(1, abs=0.04)
    assert (np.diff(found[:peak]) > 0).all()
    assert (np.diff(found[peak:]) < 0).all()
    assert found[-1] < 0.02


def test_warm_up_rises_linearly() -> None:
    found = whole(warmup=0.1)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 11, rtol=1e-6)
    assert set(found[10:]) == {1.0}
