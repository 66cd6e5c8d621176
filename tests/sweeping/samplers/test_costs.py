"""What an epoch costs, learned from the trials that were trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest

from harness.sweeping.samplers.costs import EpochCosts

AMONG = {
    "width": optuna.distributions.IntDistribution(8, 64, log=True),
    "depth": optuna.distributions.IntDistribution(1, 4),
    "optimizer": optuna.distributions.CategoricalDistribution(("sgd", "adam")),
}


def trial(**params: Any) -> optuna.trial.FrozenTrial:
    own = {name: AMONG[name] for name in params}
    return optuna.trial.create_trial(params=params, distributions=own, value=0.0)


def seconds(width: int, depth: int, optimizer: str) -> float:
    return 0.01 * width**1.5 * math.exp(0.4 * depth) * (1.3 if optimizer == "adam" else 1.0)


def drawn(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "width": int(rng.integers(8, 65)),
            "depth": int(rng.integers(1, 5)),
            "optimizer": ("sgd", "adam")[rng.integers(2)],
        }
        for _ in range(count)
    ]


def test_effects_that_multiply_are_found() -> None:
    known = drawn(40)
    costs = EpochCosts([trial(**one) for one in known], [seconds(**one) for one in known])
    found = costs.effect(
        {"width": np.array([8.0, 64.0]), "depth": np.array([1.0, 4.0]), "optimizer": np.array([0.0, 1.0])}
    )
    expected = math.log(seconds(64, 4, "adam") / seconds(8, 1, "sgd"))
    assert found[1] - found[0] == pytest.approx(expected, rel=0.05)
    wide = costs.effect({"width": np.array([8.0, 64.0])})
    assert wide[1] - wide[0] == pytest.approx(1.5 * math.log(8), rel=0.05)


def test_little_is_claimed_of_little() -> None:
    """Two trials that differ in everything: no parameter is blamed for all of it."""
    costs = EpochCosts(
        [trial(width=8, depth=1, optimizer="sgd"), trial(width=64, depth=4, optimizer="adam")], [1.0, 10.0]
    )
    wide = costs.effect({"width": np.array([8.0, 64.0])})
    assert 0 < wide[1] - wide[0] < math.log(10) / 2
    one = EpochCosts([trial(width=8, depth=1, optimizer="sgd")], [3.0])
    assert list(one.effect({"width": np.array([8.0, 64.0])})) == [0.0, 0.0]


def test_trials_may_lack_parameters_and_unknown_ones_make_no_difference() -> None:
    known = [{"width": one["width"]} for one in drawn(20)]
    costs = EpochCosts(
        [trial(**one) for one in known] + [trial(depth=2)], [float(one["width"]) for one in known] + [20.0]
    )
    assert list(costs.effect({"dropout": np.array([0.1, 0.4])})) == [0.0, 0.0]
    wide = costs.effect({"width": np.array([8.0, 64.0])})
    assert wide[1] - wide[0] == pytest.approx(math.log(8), rel=0.1)
