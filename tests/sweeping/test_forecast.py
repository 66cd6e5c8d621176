"""Forecasts: more work takes longer, what was seen corrects them, a sweep's length comes with its spread."""

from __future__ import annotations

import random
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.folds import Folds
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
from harness.records import Answer, Cost, Dataset, Params, Question, Scalar
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
    assert ours.memory_bytes(PARAMS, more) >= ours.memory_bytes(PARAMS, cost) > 0
    larger = complete({"family": "cnn", "batch_size": 128})
    assert ours.memory_bytes(larger, cost) >= ours.memory_bytes(PARAMS, cost)


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


HEAD_COST = Cost(
    pixels=1280, forward=8e3, backward=8e3, written_bytes=40, kept_bytes=40, largest_bytes=5e3,
    operations=2, iterations=0, loops=0, parameters=4e6, trained=8e3,
    body_forward=4e8, body_bytes=2.5e7, body_largest_bytes=6e6, body_operations=100,
)  # fmt: skip


def head(**given: Scalar) -> Params:
    return complete({"family": "pretrained"} | given)


def test_a_head_takes_the_memory_of_its_features_and_of_the_body_that_computes_them() -> None:
    without = forecast()
    holding = replace(without, data_memory=1e9)
    for views in (1, 2):
        held = holding.memory_bytes(head(views=views), HEAD_COST) - without.memory_bytes(
            head(views=views), HEAD_COST
        )
        assert held == pytest.approx(4 * 1280 * (2000 * views + 200))
    pixels = holding.memory_bytes(PARAMS, COST) - without.memory_bytes(PARAMS, COST)
    assert pixels == pytest.approx(3072 * 2200)
    limited = replace(without, data_memory=1e6)
    assert limited.memory_bytes(head(), HEAD_COST) - without.memory_bytes(head(), HEAD_COST) == pytest.approx(
        1e6
    )
    larger = replace(HEAD_COST, body_largest_bytes=2 * HEAD_COST.body_largest_bytes)
    assert without.memory_bytes(head(), larger) > without.memory_bytes(head(), HEAD_COST) + 16 * 5e6


def test_features_that_are_there_take_no_time() -> None:
    def ask(_: Question, __: float) -> Answer:
        return Answer(question="cost", found=asdict(HEAD_COST))

    ours = StudyForecast(forecast(), Costs(ask, DATASET), 1, "float32")
    whole = ours.seconds_to(head(views=2), 0, 1)
    both = ours.features_seconds(head(views=2))
    assert whole is not None
    assert whole > both > 0
    ours.features_are_there(head(views=1, head_width=8))
    assert ours.features_seconds(head(views=1)) == 0
    # The images have been seen, their mirror images have not.
    assert ours.features_seconds(head(views=2)) == pytest.approx(both * 2000 / 4200, rel=0.01)
    later = ours.seconds_to(head(views=2), 0, 1)
    assert later == pytest.approx(whole - both + ours.features_seconds(head(views=2)))
    ours.features_are_there(head(views=2))
    assert ours.features_seconds(head(views=2)) == 0
    assert ours.costs.of(head(image_size=96)) is not None
    assert ours.features_seconds(head(image_size=96)) > 0


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
        replace(COST, forward=1e4, backward=1e4, written_bytes=1e4, kept_bytes=1e4, trained=1e3),
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
    other = complete({"depth": 3})
    assert ours.memory_bytes(other) == ours.forecast.memory_bytes(other, COST)
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
    ours.learn(0, params, 1, 100.0)  # its cost is not known yet
    epoch, whole = ours.seconds_to(params, 1, 2), ours.seconds_to(params, 0, 1)
    assert epoch is not None
    assert whole is not None
    for worker in (0, 1):
        ours.learn(worker, params, 1, whole)
        ours.learn(worker, params, 2, epoch)
    assert ours.seconds_to(params, 0, 1) == pytest.approx(whole, rel=1e-6)
    assert ours.seconds_to(params, 1, 2) == pytest.approx(epoch, rel=1e-6)


TUNED = complete({"family": "pretrained", "unfreeze": 2})
HEAD = TUNED | {"unfreeze": 0}


def unfreezing(unfreeze_at: int | None) -> StudyForecast:
    """A head that costs nearly nothing, on features that cost something, and a whole network that does."""
    head = replace(
        COST, pixels=1e3, forward=1e4, backward=2e4, written_bytes=1e3, kept_bytes=1e3, operations=3,
        trained=1e4, body_forward=4e7, body_operations=50,
    )  # fmt: skip

    def ask(question: Question, _: float) -> Answer:
        cost = COST if question.arguments["params"]["unfreeze"] else head
        return Answer(
            question="cost", found={field.name: getattr(cost, field.name) for field in fields(Cost)}
        )

    return StudyForecast(forecast(), Costs(ask, DATASET), 1, "float32", unfreeze_at=unfreeze_at)


@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_seconds_add_up_wherever_a_backbone_is_unfrozen(start: int, middle: int, at: int) -> None:
    ours = unfreezing(at)
    start, middle = min(start, middle), max(start, middle)
    parts = [ours.seconds_to(TUNED, *part) for part in ((start, middle), (middle, 10)) if part[0] < part[1]]
    assert ours.seconds_to(TUNED, start, 10) == pytest.approx(sum(parts))


def test_every_fold_is_a_training_and_only_the_first_compiles_and_computes_features() -> None:
    one, folded = unfreezing(4), replace(unfreezing(4), folds=Folds(3, 1, 10))
    whole, first = one.seconds_to(TUNED, 0, 10), folded.seconds_to(TUNED, 0, 10)
    assert first == pytest.approx(whole)
    later = folded.seconds_to(TUNED, 10, 20)
    assert 0 < later < first - folded.features_seconds(TUNED)
    assert folded.seconds_to(TUNED, 0, 40) == pytest.approx(first + 3 * later)
    for middle in (3, 10, 17, 24, 33):
        parts = folded.seconds_to(TUNED, 0, middle) + folded.seconds_to(TUNED, middle, 40)
        assert parts == pytest.approx(first + 3 * later)
    assert [folded.within(epoch) for epoch in (1, 10, 11, 35)] == [1, 10, 1, 5]


def test_epochs_are_dearer_once_the_backbone_is_unfrozen() -> None:
    ours = unfreezing(4)
    assert ours.seconds_to(TUNED, 0, 4) == pytest.approx(ours.seconds_to(HEAD, 0, 4))
    assert ours.features_seconds(TUNED) == ours.features_seconds(HEAD) > 0
    assert ours.seconds_to(TUNED, 4, 6) > 10 * ours.seconds_to(TUNED, 2, 4)
    assert ours.seconds_to(TUNED, 5, 6) < ours.seconds_to(TUNED, 4, 5), "it compiles in the first of them"
    never = unfreezing(None)
    assert never.seconds_to(TUNED, 0, 9) == pytest.approx(never.seconds_to(HEAD, 0, 9))
    assert ours.memory_bytes(TUNED) > ours.memory_bytes(HEAD)


def test_epochs_before_and_after_the_unfreezing_are_learned_from_apart() -> None:
    ours = unfreezing(1)
    before, after = ours.seconds_to(HEAD, 1, 2), ours.seconds_to(TUNED, 2, 3)
    ours.features_are_there(HEAD)
    compiling = {epoch: ours.seconds_to(TUNED, epoch - 1, epoch) for epoch in (1, 2)}
    ours.learn(0, TUNED, 1, compiling[1])
    ours.learn(0, TUNED, 1, before)
    ours.learn(0, TUNED, 2, compiling[2])
    for epoch in (3, 4):
        ours.learn(0, TUNED, epoch, 2 * after)
    assert ours.seconds_to(HEAD, 1, 2) == pytest.approx(before)
    assert ours.seconds_to(TUNED, 2, 3) == pytest.approx(2 * after)
    assert ours.features_seconds(TUNED) == 0


def test_the_length_of_a_sweep_whose_last_epochs_are_dearer() -> None:
    """Two of four trials are trained by two programs, each of which is compiled once."""
    dear = Priced("whole", 3.0, 10.0)
    found = sweep_seconds(
        lambda: FullTraining(10), [Priced("head", 1.0, 0.5, until=8, then=dear)], trials=4, workers=1,
        objectives=1, epochs=10, rng=random.Random(0),
    )  # fmt: skip
    assert found.middle == pytest.approx(4 * (8 * 0.5 + 2 * 10) + 1 + 3)


def test_the_length_of_a_sweep_of_full_trainings() -> None:
    """Eight trials of ten epochs on two workers: four each, and each worker compiles once."""
    found = sweep_seconds(
        lambda: FullTraining(10), [Priced("one", 3.0, 0.5)], trials=8, workers=2, objectives=1,
        epochs=10, rng=random.Random(0),
    )  # fmt: skip
    assert found.low == found.middle == found.high == pytest.approx(4 * 10 * 0.5 + 3.0)


def test_halving_takes_less_and_varies() -> None:
    configurations = [Priced(str(number), 1.0, float(number)) for number in range(1, 9)]
    found = sweep_seconds(
        lambda: Asha(1, 27, 3), configurations, trials=40, workers=2, objectives=2, epochs=27,
        rng=random.Random(0),
    )  # fmt: skip
    assert 0 < found.low < found.middle < found.high < 40 * 27 * 4.5 / 2
