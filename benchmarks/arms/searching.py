"""What the arms that search have in common: the space, and when a configuration is tried how far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.arms.job import Job
from harness.experiment.distributions import Choice, Distribution, FloatRange, IntRange
from harness.experiment.parameters import complete
from harness.experiment.space import Space, resolve
from harness.experiment.space_file import parse_space
from harness.records import Params, Scalar

MIN_EPOCHS = 1
REDUCTION = 3
"""Of every tool's rungs."""


def space_of(job: Job) -> Space:
    return parse_space(job.space)


def resolved(job: Job, suggest: Any) -> Params:
    """A complete configuration, every searched value from `suggest(name, among)`."""
    return complete(resolve(space_of(job), suggest)[0])


def asking_keras_tuner(hp: Any) -> Callable[[str, Distribution], Any]:
    """What suggests values from hyper-parameters of KerasTuner's, which get to know those that they have not
    seen yet."""

    def suggest(name: str, among: Distribution) -> Any:
        if isinstance(among, Choice):
            # As text, for on its way through the chief a True would become a 1.
            by_text = {str(choice): choice for choice in among.choices}
            return by_text[hp.Choice(name, list(by_text))]
        if isinstance(among, IntRange):
            return hp.Int(name, among.low, among.high)
        return hp.Float(name, among.low, among.high, sampling="log" if among.log else "linear")

    return suggest


def distributions(space: Space) -> dict[str, Distribution]:
    """All that is searched, by name; conditional parameters have names of their own."""
    return {
        alternative.sampled_as: alternative.values
        for alternatives in space.parameters.values()
        for alternative in alternatives
        if isinstance(alternative.values, IntRange | FloatRange | Choice)
    }


def drawn(rng: Any, among: Distribution) -> Scalar:
    """A value by a `random.Random`."""
    import math

    if isinstance(among, IntRange):
        return int(rng.randint(among.low, among.high))
    if isinstance(among, FloatRange):
        if among.log:
            return math.exp(rng.uniform(math.log(among.low), math.log(among.high)))
        return float(rng.uniform(among.low, among.high))
    return rng.choice(among.choices)  # type: ignore[no-any-return]
