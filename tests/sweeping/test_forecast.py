"""Forecasts: more work takes longer, what was seen corrects them, a sweep's length comes with its spread."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.parameters import CATALOG, complete
from harness.experiment.rates import (
    CHANGED,
    DEFAULT_RATES,
    KINDS,
    UPDATED,
    Rates,
    Work,
    fitted,
    training_step,
)
from harness.records import Answer, Cost, Dataset, Question
from harness.schedulers.full import FullTraining
from harness.schedulers.halving import Asha
from harness.sweeping.costs import Costs
from harness.sweeping.forecast import Forecast
from harness.sweeping.simulation import Priced, sweep_seconds
from harness.sweeping.study_forecast import StudyForecast, study_forecast
from tests import studies

COST = Cost(
    pixels=3072, forward=4e7, backward=8e7, written_bytes=1.5e6, kept_bytes=1.4e6, largest_bytes=2.6e5,
    operations=27, iterations=0, loops=0, parameters=289642, trained=288746,
)  # fmt: skip
PARAMS = complete({"family": "cnn"})
costs = st.builds(Cost, **{field.name: st.floats(1, 1e9) for field in fields(Cost)})
seconds = st.floats(1e-3, 1e4)


def forecast() -> Forecast:
    return Forecast(DEFAULT_RATES["float32"], train_images=2000, validation_images=200)


@given(costs, st.sampled_from([field.name for field in fields(Cost)]), st.floats(1, 100))
def test_more_of_anything_never_takes_less(cost: Cost, name: str, factor: float) -> None:
    more = replace(cost, **{name: factor * getattr(cost, name)})
    ours = forecast()
    assert ours.epoch_seconds(PARAMS, more) >= ours.epoch_seconds(PARAMS, cost) > 0
    assert ours.compile_seconds(PARAMS, more) >= ours.compile_seconds(PARAMS, cost) > 0
    assert ours.memory_bytes(more, 64) >= ours.memory_bytes(cost, 64) > 0
    assert ours.memory_bytes(cost, 128) >= ours.memory_bytes(cost, 64)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_more_images_take_longer(one: int, other: int) -> None:
    few, many = sorted((one, other))
    took = [
        replace(forecast(), train_images=images, validation_images=images).epoch_seconds(PARAMS, COST)
        for images in (few, many)
    ]
    assert took[0] <= took[1]


def test_every_augmentation_mixing_and_optimizer_has_its_time() -> None:
    names = {choice for name in ("augmentation", "mixing") for choice in CATALOG[name].choices}
    assert names == set(CHANGED)
    assert set(CATALOG["optimizer"].choices) == set(UPDATED)


def test_a_share_of_the_images_takes_that_share() -> None:
    half = complete({"family": "cnn", "train_fraction": 0.5})
    ours = replace(forecast(), validation_images=0)
    assert ours.epoch_seconds(half, COST) == pytest.approx(0.5 * ours.epoch_seconds(PARAMS, COST), rel=0.05)


@given(st.integers(1, 5000))
def test_where_so_many_images_make_an_epoch_it_takes_as_long_as_a_set_of_so_many(images: int) -> None:
    part = complete({"family": "cnn", "train_fraction": 0.5})
    ours, small = replace(forecast(), epoch_images=images), replace(forecast(), train_images=images)
    for params in (PARAMS, part):
        assert ours.epoch_seconds(params, COST) == small.epoch_seconds(PARAMS, COST)


def test_a_studys_forecast_knows_how_many_images_make_an_epoch() -> None:
    chosen = studies.experiment(training={"epoch_images": 7})
    found = study_forecast(chosen, studies.DATASET, 1, "float32", lambda _, __: None)
    assert found.forecast.epoch_images == 7


@given(st.floats(0.01, 100), st.integers(1, 40))
def test_what_is_seen_corrects_the_program_and_all_others(factor: float, epochs: int) -> None:
    ours = forecast()
    other = complete({"family": "cnn", "depth": 4})
    for _ in range(epochs):
        ours.learn(PARAMS, COST, factor * ours.from_rates(PARAMS, COST))
    for params in (PARAMS, other):
        assert ours.epoch_seconds(params, COST) == pytest.approx(factor * ours.from_rates(params, COST))
    ours.learn(other, COST, 2 * ours.from_rates(other, COST))
    assert ours.epoch_seconds(other, COST) == pytest.approx(2 * ours.from_rates(other, COST))
    assert ours.epoch_seconds(PARAMS, COST) == pytest.approx(factor * ours.from_rates(PARAMS, COST))


@given(st.lists(st.tuples(st.integers(1, 4), seconds), min_size=1, max_size=30), st.randoms())
def test_the_order_of_what_is_seen_does_not_matter(seen: list[tuple[int, float]], rng: random.Random) -> None:
    """As long as all of it is remembered."""
    one, other = forecast(), forecast()
    shuffled = list(seen)
    rng.shuffle(shuffled)
    for ours, epochs in ((one, seen), (other, shuffled)):
        for depth, took in epochs:
            ours.learn(complete({"depth": depth}), COST, took)
    for depth in range(1, 6):
        params = complete({"depth": depth})
        assert one.epoch_seconds(params, COST) == pytest.approx(other.epoch_seconds(params, COST))


def test_one_disturbed_epoch_changes_little() -> None:
    ours = forecast()
    for took in (1.0, 1.1, 50.0, 0.9, 1.0):
        ours.learn(PARAMS, COST, took)
    assert ours.epoch_seconds(PARAMS, COST) == pytest.approx(1.0)


works = st.builds(Work, **{kind: st.floats(1, 1e6) for kind in KINDS})


@given(st.lists(works, min_size=3, max_size=8), st.floats(0.1, 10))
def test_a_machine_of_another_speed_is_measured_exactly(known: list[Work], factor: float) -> None:
    expected = DEFAULT_RATES["float32"]
    found = fitted([(work, factor * expected.seconds(work)) for work in known], expected)
    for work in known:
        assert found.seconds(work) == pytest.approx(factor * expected.seconds(work), rel=1e-3)


def test_proportions_are_measured_where_works_differ_enough() -> None:
    expected = DEFAULT_RATES["float32"]
    truth = replace(expected, multiply_adds=expected.multiply_adds / 3, operations=2 * expected.operations)
    light, heavy = (
        replace(COST, forward=1e4, backward=1e4, written_bytes=1e4, trained=1e3),
        replace(COST, forward=1e9),
    )
    known = [training_step(PARAMS, cost, 8) for cost in (light, heavy, replace(heavy, operations=1))]
    found = fitted([(work, truth.seconds(work)) for work in known], expected)
    assert found.multiply_adds == pytest.approx(truth.multiply_adds, rel=0.1)
    assert found.operations == pytest.approx(truth.operations, rel=0.3)
    assert all(getattr(found, kind) >= 0 for kind in KINDS)
    assert isinstance(found, Rates)


DATASET = Dataset(
    name="drawn", folder="", split="", digest="", classes=("a", "b"), image_shape=(8, 8, 1),
    counts={"train": 2000, "validation": 200}, class_counts={},
)  # fmt: skip


def counted(answers: dict[int, Answer | None]) -> tuple[StudyForecast, list[Question]]:
    """Answers by depth, and what was asked."""
    asked: list[Question] = []

    def ask(question: Question, _: float) -> Answer | None:
        asked.append(question)
        return answers[int(question.arguments["params"]["depth"])]

    return StudyForecast(forecast(), Costs(ask, DATASET), 1, "float32"), asked


FOUND = Answer(question="cost", found={field.name: getattr(COST, field.name) for field in fields(Cost)})


def test_equal_networks_are_asked_for_once() -> None:
    ours, asked = counted({2: FOUND, 3: FOUND})
    for params in ({"depth": 2}, {"depth": 2, "optimizer": "sgd", "dropout": 0.4, "batch_size": 128}):
        assert ours.seconds_to(complete(params), 0, 3) is not None
    assert len(asked) == 1
    assert ours.memory_bytes(complete({"depth": 3})) == ours.forecast.memory_bytes(COST, 64)
    assert len(asked) == 2


def test_compiling_is_part_of_a_training_from_the_start() -> None:
    ours, _ = counted({2: FOUND})
    params = complete({"depth": 2})
    first, later = ours.seconds_to(params, 0, 3), ours.seconds_to(params, 3, 6)
    assert first is not None
    assert later is not None
    assert first - later == pytest.approx(ours.forecast.compile_seconds(params, COST))


def test_what_nobody_can_tell_is_unknown_and_is_not_asked_for_again_and_again() -> None:
    ours, asked = counted({2: Answer(question="cost", error="no such layer"), 3: None, 4: None, 5: FOUND})
    assert ours.seconds_to(complete({"depth": 2}), 0, 1) is None
    assert ours.costs.unknown == "no such layer"
    for depth in (3, 4, 5):
        assert ours.memory_bytes(complete({"depth": depth})) is None
    assert len(asked) == 3


def test_the_first_epoch_on_a_worker_compiles() -> None:
    ours, _ = counted({2: FOUND})
    params = complete({"depth": 2})
    ours.learn(0, params, 100.0)  # its cost is not known yet
    epoch, whole = ours.seconds_to(params, 1, 2), ours.seconds_to(params, 0, 1)
    assert epoch is not None
    assert whole is not None
    for worker in (0, 1):
        ours.learn(worker, params, whole)
        ours.learn(worker, params, epoch)
    assert ours.seconds_to(params, 0, 1) == pytest.approx(whole, rel=1e-6)
    assert ours.seconds_to(params, 1, 2) == pytest.approx(epoch, rel=1e-6)


def test_the_length_of_a_sweep_of_full_trainings() -> None:
    """Eight trials of ten epochs on two workers: four each, and each worker compiles once."""
    found = sweep_seconds(
        lambda: FullTraining(10), [Priced("one", 3.0, 0.5)], trials=8, workers=2, objectives=1,
        rng=random.Random(0),
    )  # fmt: skip
    assert found.low == found.middle == found.high == pytest.approx(4 * 10 * 0.5 + 3.0)


def test_halving_takes_less_and_varies() -> None:
    configurations = [Priced(str(number), 1.0, float(number)) for number in range(1, 9)]
    found = sweep_seconds(
        lambda: Asha(1, 27, 3), configurations, trials=40, workers=2, objectives=2, rng=random.Random(0)
    )
    assert 0 < found.low < found.middle < found.high < 40 * 27 * 4.5 / 2
