"""What configurations of an experiment would take: the cheapest, a typical and the dearest; and the sweep."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from harness.experiment.distributions import Choice, Distribution
from harness.experiment.drawing import drawn_at_random
from harness.experiment.experiment import Experiment
from harness.experiment.keys import body_key, program_key
from harness.experiment.parameters import complete, in_epoch, multiply_adds, unfreezes
from harness.experiment.space import resolve
from harness.records import Params, Scalar
from harness.seeds import seed_from
from harness.sweeping.parts import make_scheduler
from harness.sweeping.simulation import Priced, Spread, sweep_seconds
from harness.sweeping.study_forecast import StudyForecast

DRAWN = 64
"""Configurations that are drawn at random."""
CORNERS = 6
"""Configurations with all numbers at their lowest, and as many with all at their highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one configuration takes on one worker."""

    params: Params
    """Those that the space decides."""
    epoch_seconds: float
    """Training and validation, without compiling; the mean, where later epochs are dearer."""
    training_seconds: float
    """A full training, with folds all trainings of a trial, with compiling and computing features if there
    are any."""
    features_seconds: float
    """Those of `training_seconds` that computing features takes, which serve other trials too."""
    memory_bytes: float
    """Of the worker's process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an experiment takes on this machine, as forecast."""

    cheapest: Price
    typical: Price
    """The one in the middle of those drawn at random, by the seconds of an epoch."""
    dearest: Price
    sweep: Spread
    """Seconds from the first training to the last."""
    workers: int
    drawn: int
    """Configurations that were drawn at random."""
    too_large: int
    """Those of them that no worker's memory holds."""
    too_long: int | None
    """Those of them whose full training takes longer than the time limit; None: there is none."""


def prices(
    experiment: Experiment, forecast: StudyForecast, *, workers: int, worker_bytes: float
) -> Prices | None:
    """Forecasts for configurations drawn from the space, and for the sweep.

    Args:
        experiment: what would be run.
        forecast: for one of its workers.
        workers: that train side by side.
        worker_bytes: memory that each of them has.

    Returns:
        None if the costs of no configuration are known: `forecast.costs.unknown` says why.
    """
    rng = random.Random(seed_from(experiment.seed, "prices"))  # noqa: S311 - nothing secret
    drawn = [resolve(experiment.space, drawn_at_random(rng))[0] for _ in range(DRAWN)]
    found = [one for one in (_price(experiment, forecast, params) for params in drawn) if one]
    if not found:
        return None
    corners = (_price(experiment, forecast, params) for params in _corners(experiment))
    every = sorted([*found, *(one for one in corners if one)], key=lambda one: one.epoch_seconds)
    middle = sorted(found, key=lambda one: one.epoch_seconds)[len(found) // 2]
    limit = experiment.budget.timeout
    return Prices(
        cheapest=every[0],
        typical=middle,
        dearest=every[-1],
        sweep=sweep_seconds(
            lambda: make_scheduler(experiment),
            [_priced(experiment, forecast, one.params) for one in found],
            trials=experiment.search.trials,
            workers=workers,
            objectives=len(experiment.objectives),
            epochs=experiment.training.epochs,
            rng=rng,
        ).later(_features_seconds(found, experiment.model) / workers),
        workers=workers,
        drawn=len(found),
        too_large=sum(one.memory_bytes > worker_bytes for one in found),
        too_long=None if limit is None else sum(one.training_seconds > limit for one in found),
    )


def dearest(experiment: Experiment, forecast: StudyForecast) -> Price | None:
    """What the configuration of the space that seems to be dearest takes; one cost is looked up."""

    def work(params: Params) -> float:
        whole = complete(params, experiment.model)
        return multiply_adds(whole, forecast.costs.dataset.example_shape) or 0.0

    return _price(experiment, forecast, max(_corners(experiment), key=work))


def _price(experiment: Experiment, forecast: StudyForecast, params: Params) -> Price | None:
    whole = complete(params, experiment.model)
    epochs = experiment.training.epochs
    training = forecast.seconds_to(whole, 0, experiment.folds.all_epochs)
    memory = forecast.memory_bytes(whole)
    if training is None or memory is None:
        return None
    parts = _priced(experiment, forecast, params).between(0, epochs)
    return Price(
        params=params,
        epoch_seconds=sum(number * part.epoch_seconds for part, number in parts) / epochs,
        training_seconds=training,
        features_seconds=forecast.features_seconds(whole),
        memory_bytes=memory,
    )


def _features_seconds(found: list[Price], model: str | None) -> float:
    """Seconds in which one worker computes all the features that these configurations are trained on."""
    taken: dict[str | None, float] = {}
    for price in found:  # of a body, those with the most views have all that the others need
        body = body_key(complete(price.params, model))
        taken[body] = max(taken.get(body, 0.0), price.features_seconds)
    return sum(taken.values())


def _priced(experiment: Experiment, forecast: StudyForecast, params: Params) -> Priced:
    """What a configuration takes whose costs are known."""
    whole, at = complete(params, experiment.model), forecast.unfreeze_at
    head = _of_program(forecast, in_epoch(whole, 1, at))
    if at is None or not unfreezes(whole):
        return head
    return replace(head, until=at, then=_of_program(forecast, whole))


def _of_program(forecast: StudyForecast, params: Params) -> Priced:
    cost = forecast.costs.of(params)
    assert cost is not None
    rates = forecast.forecast
    return Priced(program_key(params), rates.compile_seconds(params, cost), rates.epoch_seconds(params, cost))


def _corners(experiment: Experiment) -> Iterator[Params]:
    """Configurations with all numbers at one end of their ranges, and every other choice in turn."""
    for highest in (False, True):
        for turn in range(CORNERS):
            yield resolve(experiment.space, partial(_at_an_end, highest, turn))[0]


def _at_an_end(highest: bool, turn: int, _: str, among: Distribution) -> Scalar:
    if not isinstance(among, Choice):
        return among.high if highest else among.low
    if any(isinstance(value, bool | str) for value in among.choices):
        return among.choices[turn % len(among.choices)]
    return max(among.choices) if highest else min(among.choices)
