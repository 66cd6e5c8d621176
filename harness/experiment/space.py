"""The search space as data: which values each parameter may take, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.experiment.distributions import Constant, Distribution, every, listed
from harness.experiment.priors import Prior
from harness.records import Params, Scalar

Suggest: TypeAlias = Callable[[str, Distribution], Scalar]
When: TypeAlias = dict[str, tuple[Scalar, ...]]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way in which a parameter gets its value, with the condition under which it does."""

    sampled_as: str
    """The sampler's name for it: the parameter's, or `learning_rate[adam]`."""
    values: Distribution | Constant
    when: When = field(default_factory=dict)
    """Parameters and the values of which each must have one; empty: always."""
    prior: Prior | None = None
    """What is probably good; None: nothing is said."""


@dataclass(frozen=True, slots=True)
class Space:
    """Alternatives by parameter, in an order in which conditions are decided before they are asked."""

    parameters: dict[str, tuple[Alternative, ...]]
    model: str | None = None
    """A plug-in, `package.module:function`, in place of the built-in families."""

    @property
    def searched(self) -> dict[str, Distribution]:
        """The values of all that is searched, whether or not its condition holds, by the sampler's names."""
        return {
            alternative.sampled_as: alternative.values
            for alternatives in self.parameters.values()
            for alternative in alternatives
            if not isinstance(alternative.values, Constant)
        }

    @property
    def priors(self) -> dict[str, tuple[Distribution, Prior]]:
        """The values that something is said of and what it is, by the sampler's names."""
        return {
            alternative.sampled_as: (alternative.values, alternative.prior)
            for alternatives in self.parameters.values()
            for alternative in alternatives
            if alternative.prior is not None and not isinstance(alternative.values, Constant)
        }

    def size(self) -> int | None:
        """How many configurations there are; None if a searched parameter is continuous."""
        names = list(self.parameters)
        deciding = {asked for alts in self.parameters.values() for alt in alts for asked in alt.when}

        def count(position: int, params: Params) -> int | None:
            if position == len(names):
                return 1
            name = names[position]
            held = [one for one in self.parameters[name] if holds(one.when, params)]
            values = listed(held[0].values) if held else [None]
            if values is None:
                return None
            if name not in deciding:
                rest = count(position + 1, params)
                return None if rest is None else rest * len(values)
            total = 0
            for value in values:
                rest = count(position + 1, params if value is None else params | {name: value})
                if rest is None:
                    return None
                total += rest
            return total

        return count(0, {})


def resolve(space: Space, suggest: Suggest) -> tuple[Params, Params]:
    """One configuration.

    Args:
        space: where to choose from.
        suggest: called with the sampler's name and the distribution of each parameter whose condition
            holds, in a fixed order.

    Returns:
        The parameters by name, constants included; and the sampled values by the sampler's names.
    """
    params: Params = {}
    sampled: Params = {}
    for name, alternatives in space.parameters.items():
        for alternative in alternatives:
            if not holds(alternative.when, params):
                continue
            if isinstance(alternative.values, Constant):
                params[name] = alternative.values.value
            else:
                value = suggest(alternative.sampled_as, alternative.values)
                params[name] = sampled[alternative.sampled_as] = value
            break
    return params, sampled


def configurations(space: Space) -> Iterator[tuple[Params, Params]]:
    """Every configuration of a space, as `resolve` gives them, one after the other.

    Of a continuous range these are all numbers that a float can be, from its lower end on: far too many to
    list, but whoever knows some of them finds another.
    """
    names = list(space.parameters)

    def extend(position: int, params: Params, sampled: Params) -> Iterator[tuple[Params, Params]]:
        if position == len(names):
            yield params, sampled
            return
        name = names[position]
        for alternative in space.parameters[name]:
            if not holds(alternative.when, params):
                continue
            if isinstance(alternative.values, Constant):
                yield from extend(position + 1, params | {name: alternative.values.value}, sampled)
            else:
                for value in every(alternative.values):
                    yield from extend(
                        position + 1, params | {name: value}, sampled | {alternative.sampled_as: value}
                    )
            return
        yield from extend(position + 1, params, sampled)

    yield from extend(0, {}, {})


def holds(when: When, params: Params) -> bool:
    """Whether a condition holds for what has been chosen so far."""
    return all(name in params and params[name] in allowed for name, allowed in when.items())
