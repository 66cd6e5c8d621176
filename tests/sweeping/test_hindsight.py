"""A session learns from its epochs, and says at its end what was forecast of them."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from harness.experiment.parameters import complete, in_epoch
from harness.experiment.rates import DEFAULT_RATES
from harness.records import (
    Answer,
    Cost,
    Dataset,
    EpochEnded,
    Event,
    FeaturesReady,
    LogRecord,
    Question,
    SegmentStarted,
    TrialStarted,
)
from harness.study.state import StudyState, fold
from harness.sweeping.costs import Costs
from harness.sweeping.forecast import Forecast
from harness.sweeping.hindsight import LEAST_EPOCHS, Hindsight
from harness.sweeping.study_forecast import StudyForecast
from tests.studies import study_started

COST = Cost(
    pixels=64, forward=1e6, backward=2e6, written_bytes=1e5, kept_bytes=1e5, largest_bytes=1e4,
    operations=12, iterations=0, loops=0, parameters=1e4, trained=1e4,
)  # fmt: skip
PARAMS = complete({"family": "cnn"})
DATASET = Dataset(
    name="drawn", folder="", split="", digest="", classes=("a", "b"), image_shape=(8, 8, 1),
    counts={"train": 2000, "validation": 200}, class_counts={},
)  # fmt: skip


def ask(_: Question, __: float) -> Answer:
    return Answer(question="cost", found=asdict(COST))


def hindsight() -> Hindsight:
    forecast = Forecast(DEFAULT_RATES["float32"], train_images=2000, validation_images=200)
    return Hindsight.of(StudyForecast(forecast, Costs(ask, DATASET), 1, "float32"), StudyState())


def feed(ours: Hindsight, epochs: int, factor: float) -> float:
    """A trial whose epochs take so many times what the rates say, the first one longer; one's seconds."""
    seconds = factor * ours.forecast.forecast.from_rates(PARAMS, COST)
    events: list[Event] = [
        TrialStarted(trial=0, params=PARAMS, sampled={}, seed=0, time=0),
        SegmentStarted(trial=0, attempt=1, start=0, stop=epochs, worker=0, time=0),
    ]
    for epoch in range(1, epochs + 1):
        took = seconds + 5 * (epoch == 1)
        metrics = {"epoch_seconds": took}
        events.append(EpochEnded(trial=0, attempt=1, epoch=epoch, metrics=metrics, time=0))
    for number, event in enumerate(events):
        ours.feed(LogRecord(number, event))
    return seconds


def test_the_sentence_compares_all_epochs_but_those_that_compiled() -> None:
    ours = hindsight()
    feed(ours, LEAST_EPOCHS + 1, 1.5)
    said = ours.sentence(look_up=True)
    assert said is not None
    assert f"{LEAST_EPOCHS} epochs" in said
    assert "(+50 %)" in said


def test_what_is_seen_corrects_the_forecast() -> None:
    ours = hindsight()
    assert ours.forecast.seconds_to(PARAMS, 0, 1) is not None  # its cost is known from now on
    seconds = feed(ours, 5, 3.0)
    assert ours.forecast.seconds_to(PARAMS, 1, 2) == pytest.approx(seconds)


def test_features_that_were_computed_are_forecast_no_more() -> None:
    head = complete({"family": "pretrained"})
    cost = replace(COST, body_forward=4e8, body_operations=100)

    def ask_for_a_head(_: Question, __: float) -> Answer:
        return Answer(question="cost", found=asdict(cost))

    def forecast() -> StudyForecast:
        rates = Forecast(DEFAULT_RATES["float32"], train_images=2000, validation_images=200)
        found = StudyForecast(rates, Costs(ask_for_a_head, DATASET), 1, "float32")
        assert found.costs.of(head) == cost
        return found

    events: list[Event] = [
        TrialStarted(trial=0, params=head, sampled={}, seed=0, time=0),
        FeaturesReady(
            trial=0, attempt=1, body="b", digest="0" * 64, views=1, computed=2200, seconds=9.0, time=0
        ),
    ]
    records = [LogRecord(number, event) for number, event in enumerate([study_started(), *events], start=1)]
    in_session = Hindsight.of(forecast(), StudyState())
    assert in_session.forecast.features_seconds(head) > 0
    for record in records[1:]:
        in_session.feed(record)
    resumed = Hindsight.of(forecast(), fold(records))
    for ours in (in_session, resumed):
        assert ours.forecast.features_seconds(head) == 0


def test_too_few_epochs_and_unknown_costs_say_nothing() -> None:
    ours = hindsight()
    feed(ours, LEAST_EPOCHS, 1.0)
    assert ours.sentence(look_up=True) is None
    ours = hindsight()
    feed(ours, 2 * LEAST_EPOCHS, 1.0)
    assert ours.sentence(look_up=False) is None


def test_epochs_before_and_after_a_backbone_is_unfrozen_are_compared_each_with_its_own_forecast() -> None:
    dear = replace(COST, forward=1e9, backward=2e9)

    def ask_by_phase(question: Question, _: float) -> Answer:
        return Answer(
            question="cost", found=asdict(dear if question.arguments["params"]["unfreeze"] else COST)
        )

    forecast = Forecast(DEFAULT_RATES["float32"], train_images=2000, validation_images=200)
    study = StudyForecast(forecast, Costs(ask_by_phase, DATASET), 1, "float32", unfreeze_at=9)
    ours = Hindsight.of(study, StudyState())
    tuned = complete({"family": "pretrained", "unfreeze": 2})
    events: list[Event] = [
        TrialStarted(trial=0, params=tuned, sampled={}, seed=0, time=0),
        SegmentStarted(trial=0, attempt=1, start=0, stop=20, worker=0, time=0),
    ]
    for epoch in range(1, 21):
        here = in_epoch(tuned, epoch, 9)
        took = 1.5 * forecast.from_rates(here, COST if epoch <= 9 else dear) + 50 * (epoch in (1, 10))
        events.append(EpochEnded(trial=0, attempt=1, epoch=epoch, metrics={"epoch_seconds": took}, time=0))
    for number, event in enumerate(events):
        ours.feed(LogRecord(number, event))
    said = ours.sentence(look_up=True)
    assert said is not None
    assert "18 epochs" in said
    assert "(+50 %)" in said
