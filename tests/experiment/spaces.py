"""What tests ask of a search space."""

from __future__ import annotations

from harness.experiment.distributions import Constant
from harness.experiment.space import Space


def searched(space: Space) -> list[str]:
    """The sampler's names of all that is searched, whether or not its condition holds."""
    return [
        alternative.sampled_as
        for alternatives in space.parameters.values()
        for alternative in alternatives
        if not isinstance(alternative.values, Constant)
    ]
