"""Priors: a right one helps, a wrong one is forgotten, and without any nothing changes."""

from __future__ import annotations

import math
import operator
from statistics import mean, median
from typing import Any

import numpy as np
import pytest

from harness.experiment.experiment import Objective
from harness.experiment.priors import read_prior
from harness.experiment.space_file import parse_space
from harness.records import Params
from harness.sweeping.samplers.priors import CREDIT, Priors
from harness.sweeping.samplers.sampler import Sampler, Suggestion
from harness.tracking.optuna_space import as_optuna

ACCURACY = Objective("val_accuracy", True)
SEEDS = range(8)


def space(**priors: Any) -> dict[str, Any]:
    """Four parameters; the best values are 0.4, 1e-5, 4 and `adam`."""
    whole: dict[str, dict[str, Any]] = {
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
        "l2": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
        "depth": {"type": "int", "low": 1, "high": 6},
        "optimizer": {"type": "categorical", "choices": ["sgd", "momentum", "adagrad", "adam"]},
    }
    return {
        name: entry | ({"prior": priors[name]} if name in priors else {}) for name, entry in whole.items()
    }


def score(suggestion: Suggestion) -> float:
    chosen = suggestion.sampled
    distance = abs(float(chosen["dropout"]) - 0.4) / 0.5
    distance += abs(np.log10(float(chosen["l2"])) + 5) / 4
    distance += abs(int(chosen["depth"]) - 4) / 5 + 0.5 * (chosen["optimizer"] != "adam")
    return -distance


def searched(trials: int, seed: int, kind: str = "tpe", **priors: Any) -> list[float]:
    """The scores of a search, in the order of its trials."""
    asked = Sampler(parse_space(space(**priors)), kind, seed, objectives=[ACCURACY], start_with=[{}])
    found = []
    for number in range(trials):
        suggestion = asked.ask(number)
        assert suggestion is not None
        found.append(score(suggestion))
        asked.finish(number, "complete", [found[-1]], {1: found[-1]})
    return found


RIGHT = {"dropout": 0.35, "l2": {"center": 3e-5, "spread": 5}, "depth": 4, "optimizer": "adam"}
WRONG = {"dropout": 0.05, "l2": {"center": 3e-3, "spread": 5}, "depth": 1, "optimizer": "sgd"}


def test_a_right_prior_finds_sooner_what_is_found_without_it() -> None:
    usual = [max(searched(20, seed)) for seed in SEEDS]
    early = [max(searched(12, seed, **RIGHT)) for seed in SEEDS]
    assert median(early) > median(usual)


def test_a_wrong_prior_is_forgotten() -> None:
    """Its draws are no worse in the end than those of a search without it, whose best it comes near."""
    misled = [searched(40, seed, **WRONG) for seed in SEEDS]
    usual = [searched(40, seed) for seed in SEEDS]
    early, late = (mean(mean(one[part]) for one in misled) for part in (slice(1, 8), slice(32, 40)))
    assert late > early + 0.3
    assert median(map(max, misled)) > median(max(one[:20]) for one in usual)


def test_results_say_whether_a_prior_is_right() -> None:
    """Of one parameter beside another: what is wrong of one does not speak against the other."""
    among = parse_space(space(dropout=0.4, depth=1)).priors
    ranked: list[Params] = [{"dropout": 0.4 - 0.02 * rank, "depth": 6 - rank // 3} for rank in range(18)]
    samples = {"dropout": np.array([0.1, 0.4]), "depth": np.array([1.0, 6.0])}
    before, after = Priors(among), Priors(among, ranked)
    kept = {
        name: np.ptp(after.log_weights({name: values}))
        / after.power
        / np.ptp(before.log_weights({name: values}))
        for name, values in samples.items()
    }
    assert kept["dropout"] > 1
    assert kept["depth"] < 0.1
    assert Priors({"depth": among["depth"]}, ranked).share < 0.1 * before.share


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_the_seed_decides_with_priors_too(kind: str) -> None:
    same = [searched(15, 3, kind, **RIGHT) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != searched(15, 4, kind, **RIGHT)
    assert same[0] != searched(15, 3, kind)


def test_the_most_probable_configuration_comes_first_after_those_that_are_given() -> None:
    asked = Sampler(
        parse_space(space(**RIGHT)), "tpe", 0, objectives=[ACCURACY],
        start_with=[{"depth": 1}], found_before=[{"depth": 2, "dropout": 0.2}],
    )  # fmt: skip
    first, second, third = (asked.ask(number) for number in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.sampled["depth"] == 1
    assert second.sampled == {"dropout": 0.35, "l2": 3e-5, "depth": 4, "optimizer": "adam"}
    assert second.known_as == "the configuration that is probably good"
    assert (third.sampled["depth"], third.sampled["dropout"]) == (2, 0.2)


def test_tpe_risks_few_trials_on_a_prior_that_nothing_speaks_for() -> None:
    """The most probable configuration, and less than a tenth of those that are drawn."""
    tight = {"dropout": {"center": 0.4, "spread": 0.001}}
    asked = Sampler(parse_space(space(**tight)), "tpe", 0, objectives=[ACCURACY])
    found = [asked.ask(number) for number in range(200)]
    near = [abs(float(one.sampled["dropout"]) - 0.4) < 0.01 for one in found if one is not None]
    assert near[1]
    assert sum(near) <= 1 + 0.1 * 200 + 0.04 * 200  # as many lie there by chance


def test_a_share_of_a_random_search_is_drawn_from_the_priors_as_a_whole() -> None:
    tight = {"dropout": {"center": 0.4, "spread": 0.001}, "optimizer": {"adam": 1e6}}
    asked = Sampler(parse_space(space(**tight)), "random", 0, objectives=[ACCURACY])
    near, adam = [], []
    for number in range(200):
        suggestion = asked.ask(number)
        assert suggestion is not None
        near.append(abs(float(suggestion.sampled["dropout"]) - 0.4) < 0.01)
        adam.append(suggestion.sampled["optimizer"] == "adam")
    assert 30 <= sum(near) <= 80
    assert sum(map(operator.and_, near, adam)) >= 30  # together, not each for itself
    assert not all(adam)


def test_draws_agree_with_densities() -> None:
    """Of a density that is told beside uniform draws, the mean over uniform ones is 1, and over the prior's
    own the mean of its inverse."""
    among = parse_space(space(**RIGHT)).priors
    rng, count = np.random.RandomState(0), 4000
    priors, trust = Priors(among), 1 / (1 + math.exp(-CREDIT))
    for name in among:
        inside = as_optuna(among[name][0])
        drawn = np.array([inside.to_internal_repr(priors.draw(name, rng)) for _ in range(count)])
        weights = np.exp(priors.log_weights({name: drawn}) / trust)
        # As much as is uniform of a prior, 0.1, is not drawn: E[1 / w] = (1 - 0.1 E_uniform[1 / w]) / 0.9.
        prior = read_prior(among[name][0], RIGHT[name])
        uniform = np.array([among_uniform(among[name][0], rng) for _ in range(count)])
        inverse = np.mean(1 / np.exp(priors.log_weights({name: uniform}) / trust))
        assert np.mean(1 / weights) == pytest.approx((1 - 0.1 * inverse) / 0.9, rel=0.1), prior


def among_uniform(among: Any, rng: np.random.RandomState) -> float:
    if hasattr(among, "choices"):
        return float(rng.randint(len(among.choices)))
    if isinstance(among.low, int):
        return float(rng.randint(among.low, among.high + 1))
    if among.log:
        return float(np.exp(rng.uniform(np.log(among.low), np.log(among.high))))
    return float(rng.uniform(among.low, among.high))


def test_a_prior_fades_with_the_results() -> None:
    among = parse_space(space(**RIGHT)).priors
    ranked: list[Params] = [{"dropout": 0.5}, {"dropout": 0.0}]
    powers = [Priors(among, ranked * count).power for count in (0, 1, 10, 50)]
    assert powers[0] == powers[1] == 1 > powers[2] > powers[3] > 0
