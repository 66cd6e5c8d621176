"""Schedules at the points where they can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.parameters import CATALOG, complete
from harness.model.schedules import learning_rates
from harness.records import Annealing


def whole(steps: int = 10, epochs: int = 10, cycles: Sequence[int] = (), **changes: Any) -> np.ndarray:
    params = complete({"learning_rate": 1.0, **changes})
    return np.concatenate(
        [learning_rates(params, epoch, epochs, steps, cycles) for epoch in range(1, epochs + 1)]
    )


def annealed(
    start: int, stop: int, steps: int = 10, epochs: int = 10, cycles: Sequence[int] = (), **changes: Any
) -> np.ndarray:
    params, annealing = complete({"learning_rate": 1.0, **changes}), Annealing(start=start, stop=stop)
    return np.concatenate(
        [learning_rates(params, epoch, epochs, steps, cycles, annealing) for epoch in range(1, stop + 1)]
    )


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


def test_a_cycle_per_rung_rises_and_falls_to_each_of_them() -> None:
    """Rungs at epochs 1 and 3, of ten steps each: the rate rises in 3 steps, then in 6."""
    found = whole(epochs=3, cycles=(1, 3), schedule="cycle_per_rung")
    first = [1 / 4, 2 / 4, 3 / 4, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]
    second = [*np.arange(1, 7) / 7, *np.arange(14, 0, -1) / 14]
    np.testing.assert_allclose(found, [*first, *second], rtol=1e-6)


def test_the_warm_up_of_a_cycle_per_rung_is_a_share_of_each() -> None:
    found = whole(epochs=3, cycles=(1, 3), schedule="cycle_per_rung", warmup=0.1)
    np.testing.assert_allclose(found[:3], [1 / 2, 1, 8 / 9], rtol=1e-6)
    np.testing.assert_allclose(found[10:14], [1 / 3, 2 / 3, 1, 17 / 18], rtol=1e-6)


@st.composite
def rungs(draw: st.DrawFn) -> list[int]:
    return sorted(draw(st.sets(st.integers(1, 20), min_size=1, max_size=5)))


@given(cycles=rungs(), steps=st.integers(2, 12), warmup=st.floats(0, 0.5), peak=st.floats(1e-5, 1))
def test_a_cycle_per_rung_is_continuous_and_low_at_every_rung(
    cycles: list[int], steps: int, warmup: float, peak: float
) -> None:
    found = whole(
        steps, cycles[-1], cycles, schedule="cycle_per_rung", warmup=warmup, learning_rate=peak
    ).astype(np.float64) / peak  # fmt: skip
    share = warmup or 0.3
    lengths = np.diff([0, *cycles]) * steps
    assert len(found) == lengths.sum()
    assert (found > 0).all()
    assert (found <= 1 + 1e-6).all()
    shortest = lengths.min()
    # Between two steps it moves by no more than its steepest rise and its steepest fall together.
    steepest = 1 / (share * shortest + 1) + 1 / ((1 - share) * shortest)
    assert np.abs(np.diff(found)).max() <= steepest + 1e-5
    np.testing.assert_allclose(found[lengths.cumsum() - 1], 1 / ((1 - share) * lengths), rtol=1e-4)


@pytest.mark.parametrize("cycles", [(), (10,)])
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_without_rungs_there_is_one_cycle(cycles: tuple[int, ...], warmup: float) -> None:
    found = whole(cycles=cycles, schedule="cycle_per_rung", warmup=warmup)
    np.testing.assert_array_equal(found, whole(schedule="one_cycle", warmup=warmup))


@pytest.mark.parametrize("schedule", sorted({*CATALOG["schedule"].choices} - {"cycle_per_rung"}))
def test_other_schedules_do_not_look_at_the_rungs(schedule: str) -> None:
    np.testing.assert_array_equal(whole(cycles=(1, 3, 10), schedule=schedule), whole(schedule=schedule))


SCHEDULES = sorted(CATALOG["schedule"].choices)


@given(
    schedule=st.sampled_from(SCHEDULES),
    start=st.integers(0, 8),
    length=st.integers(1, 8),
    steps=st.integers(10, 40),
    warmup=st.floats(0, 0.5),
)
def test_a_training_that_ends_early_goes_on_from_its_rate_and_down_to_nothing(
    schedule: str, start: int, length: int, steps: int, warmup: float
) -> None:
    cycles, stop = (1, 3, 10), min(start + length, 9)
    stop = max(stop, start + 1)
    before = whole(steps, 10, cycles, schedule=schedule, warmup=warmup)
    found = annealed(start, stop, steps, 10, cycles, schedule=schedule, warmup=warmup)
    np.testing.assert_array_equal(found[: start * steps], before[: start * steps])
    assert (found >= 0).all()
    assert (found <= 1 + 1e-6).all()
    last = found[start * steps :]
    assert last[-1] <= 0.25, "one step before 0"
    assert (np.diff(last[int(last.argmax()) :]) <= 1e-6).all(), "after its peak it only falls"
    if schedule != "cycle_per_rung":  # which begins another cycle
        np.testing.assert_allclose(last[0], before[start * steps], rtol=1e-5)


def test_a_constant_rate_falls_to_nothing_on_a_line() -> None:
    found = annealed(3, 5)
    assert set(found[:30]) == {1.0}
    np.testing.assert_allclose(found[30:], np.arange(20, 0, -1) / 20, rtol=1e-6)
    found = annealed(6, 8, schedule="step")
    np.testing.assert_allclose(found[60:], 0.1 * np.arange(20, 0, -1) / 20, rtol=1e-6)


def test_what_is_left_of_one_cycle_is_gone_in_fewer_steps() -> None:
    """Of ten epochs, three of which rise: seven are left, and gone in three and a half."""
    found, before = annealed(3, 7, schedule="one_cycle"), whole(schedule="one_cycle")
    np.testing.assert_allclose(
        found[30:], np.interp(30 + np.arange(40) * 70 / 40, np.arange(100), before), 1e-3
    )


def test_of_a_cycle_per_rung_the_last_epochs_are_a_cycle() -> None:
    found = annealed(3, 7, cycles=(1, 3, 10), schedule="cycle_per_rung")
    np.testing.assert_array_equal(found, whole(epochs=7, cycles=(1, 3, 7), schedule="cycle_per_rung"))
