"""Ways to choose one configuration of a search space: the sensible one, or one at random."""

from __future__ import annotations

import math
import random

from harness.experiment.distributions import Choice, Distribution, IntRange, stepped, steps_of
from harness.experiment.parameters import LEARNING_RATES, complete, known_parameter
from harness.experiment.priors import mode
from harness.experiment.space import Space, Suggest, resolve
from harness.records import Params, Scalar


def defaults(space: Space) -> Params:
    """One sensible configuration: the catalog's defaults where the space allows them, else its nearest."""
    return resolve(space, lambda name, among: _middle(space, name, among))[0]


def most_probable(space: Space) -> Params:
    """That configuration with the most probable value of every parameter that has a prior."""
    priors = space.priors

    def choose(name: str, among: Distribution) -> Scalar:
        return mode(among, priors[name][1]) if name in priors else _middle(space, name, among)

    return resolve(space, choose)[0]


def _middle(space: Space, name: str, among: Distribution) -> Scalar:
    parameter, _, label = name.partition("[")
    known = known_parameter(parameter, space.model)
    default = None if known is None else known.default
    if parameter == "learning_rate" and label.rstrip("]") in LEARNING_RATES:
        default = LEARNING_RATES[label.rstrip("]")].default
    if isinstance(among, Choice):
        return default if default in among.choices else among.choices[0]
    if default is None:
        return among.low
    found = min(max(float(default), among.low), among.high)
    if among.step is not None:
        steps = min(round((found - among.low) / among.step), steps_of(among))
        found = among.low + steps * among.step if isinstance(among, IntRange) else stepped(among, steps)
    return round(found) if isinstance(among, IntRange) else found


def typical(space: Space) -> Params:
    """That configuration with every parameter: what a study's networks are like, before any is known."""
    return complete(defaults(space), space.model)


def drawn_at_random(rng: random.Random) -> Suggest:
    """What gives `resolve` a value for each parameter, every one equally likely, or log-uniformly so."""

    def draw(_: str, among: Distribution) -> Scalar:
        if isinstance(among, Choice):
            return rng.choice(among.choices)
        if isinstance(among, IntRange):
            if among.log:
                return min(max(round(_log_uniform(rng, among.low, among.high)), among.low), among.high)
            return rng.randrange(among.low, among.high + 1, among.step or 1)
        if among.step is not None:
            return stepped(among, rng.randint(0, steps_of(among)))
        found = _log_uniform(rng, among.low, among.high) if among.log else rng.uniform(among.low, among.high)
        return min(max(found, among.low), among.high)

    return draw


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
