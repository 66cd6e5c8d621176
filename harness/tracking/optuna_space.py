"""Search spaces in Optuna's terms."""

from __future__ import annotations

import warnings

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from harness.experiment.distributions import Distribution, FloatRange, IntRange
from harness.experiment.space import Space, resolve
from harness.records import Params, Scalar


def as_optuna(among: Distribution) -> BaseDistribution:
    """A distribution of a search space as Optuna's own kind of object."""
    if isinstance(among, IntRange):
        return IntDistribution(among.low, among.high, log=among.log, step=among.step or 1)
    if isinstance(among, FloatRange):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a last step that is a rounding error away from the range's end
            return FloatDistribution(among.low, among.high, log=among.log, step=among.step)
    return CategoricalDistribution(among.choices)


def distributions_of(space: Space, sampled: Params) -> dict[str, BaseDistribution]:
    """The distributions that these sampled values came from, by the sampler's names.

    Raises:
        ValueError: they did not come from this space.
    """
    found: dict[str, BaseDistribution] = {}

    def replay(name: str, among: Distribution) -> Scalar:
        if name not in sampled:
            raise ValueError(f"{name} was not sampled")
        found[name] = as_optuna(among)
        value = sampled[name]
        if not found[name]._contains(found[name].to_internal_repr(value)):
            raise ValueError(f"{name} = {value!r} is outside of the space")
        return value

    resolve(space, replay)
    if found.keys() != sampled.keys():
        raise ValueError(f"{', '.join(sorted(sampled.keys() - found.keys()))} are not in the space")
    return found
