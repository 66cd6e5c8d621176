"""What is refused goes by forecasts that are told with caution, and asks workers no more than it must."""

from __future__ import annotations

import pytest

from harness.experiment.parameters import complete
from harness.records import Answer, Params
from harness.sweeping.forecast_costs import UNSURE, ForecastCosts
from tests.sweeping.test_forecast import FOUND, counted

PARAMS = complete({"depth": 2})
SHAPE = (8, 8, 1)


def test_a_forecast_is_halved_until_something_was_measured() -> None:
    forecast, _ = counted({2: FOUND})
    costs = ForecastCosts(forecast, SHAPE)
    as_forecast, careful = forecast.seconds_to(PARAMS, 1, 3), costs.seconds_to(PARAMS, 1, 3)
    assert as_forecast is not None
    assert careful == pytest.approx(UNSURE * as_forecast)
    forecast.learn(0, PARAMS, 1, 1000.0)
    forecast.learn(0, PARAMS, 2, as_forecast)
    assert costs.seconds_to(PARAMS, 1, 3) == forecast.seconds_to(PARAMS, 1, 3)


def test_of_a_gpu_nobody_knows_anything_until_something_was_measured() -> None:
    forecast, _ = counted({2: FOUND})
    forecast.on_gpu = True
    costs = ForecastCosts(forecast, SHAPE)
    assert costs.seconds_to(PARAMS, 0, 1) is None
    forecast.learn(0, PARAMS, 1, 1000.0)
    assert costs.seconds_to(PARAMS, 1, 2) == forecast.seconds_to(PARAMS, 1, 2)


def test_what_nobody_knows_is_unknown() -> None:
    forecast, _ = counted({2: Answer(question="cost", error="no such layer")})
    assert ForecastCosts(forecast, SHAPE).seconds_to(PARAMS, 0, 1) is None


def test_memory_is_asked_for_only_where_it_could_matter() -> None:
    forecast, asked = counted({2: FOUND})
    assert ForecastCosts(forecast, SHAPE).memory_bytes(PARAMS) is None
    assert asked == []
    large = ForecastCosts(forecast, (512, 512, 3))
    assert large.memory_bytes(PARAMS) == forecast.memory_bytes(PARAMS)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "own", [complete({"depth": 2}, "mine:build"), complete({"family": "pretrained", "depth": 2})]
)
def test_a_network_that_nobody_can_estimate_is_looked_at_only_with_a_time_limit(own: Params) -> None:
    forecast, asked = counted({2: FOUND})
    costs = ForecastCosts(forecast, SHAPE)
    assert costs.memory_bytes(own) is None
    assert asked == []
    assert costs.seconds_to(own, 0, 1) is not None
    assert costs.memory_bytes(own) == forecast.memory_bytes(own)


def test_a_backbone_that_is_unfrozen_is_looked_at_in_any_case() -> None:
    forecast, asked = counted({2: FOUND})
    tuned = complete({"family": "pretrained", "unfreeze": 2, "image_size": 224, "depth": 2})
    assert ForecastCosts(forecast, (224, 224, 3)).memory_bytes(tuned) == forecast.memory_bytes(tuned)
    assert len(asked) == 1
