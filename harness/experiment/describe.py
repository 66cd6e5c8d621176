"""A search space in words."""

from __future__ import annotations

from harness.experiment.distributions import Choice, Constant, Distribution, FloatRange
from harness.experiment.parameters import known_parameter
from harness.experiment.priors import in_words
from harness.experiment.space import Alternative, Space, When


def describe(space: Space) -> list[dict[str, str]]:
    """For each way a parameter gets its value: `parameter`, `values`, `when` and what it is `about`."""
    return [
        {
            "parameter": name,
            "values": _values(alternative.values) + _probably(alternative),
            "when": _when(alternative.when),
            "about": known.about if (known := known_parameter(name, space.model)) else "the plug-in's own",
        }
        for name, alternatives in space.parameters.items()
        for alternative in alternatives
    ]


def _values(values: Distribution | Constant) -> str:
    if isinstance(values, Constant):
        return str(values.value)
    if isinstance(values, Choice):
        return ", ".join(map(str, values.choices))
    ending = " (log)" if values.log else f" in steps of {values.step:g}" if values.step else ""
    if isinstance(values, FloatRange):
        return f"{values.low:g} to {values.high:g}{ending}"
    return f"{values.low} to {values.high}{ending}"


def _probably(alternative: Alternative) -> str:
    if alternative.prior is None or isinstance(alternative.values, Constant):
        return ""
    return f"; probably {in_words(alternative.values, alternative.prior)}"


def _when(when: When) -> str:
    return " and ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in when.items())
