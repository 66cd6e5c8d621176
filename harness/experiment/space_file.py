"""The `space:` section of an experiment file: how it is written, and what it means.

    depth: {type: int, low: 1, high: 4}                       # step and log are optional
    dropout: {type: float, low: 0.0, high: 0.5, step: 0.05}
    optimizer: [sgd, momentum, adam]                          # short for {type: categorical, choices: …}
    batch_size: 64                                            # a constant
    momentum: {type: float, low: 0.8, high: 0.99, when: {optimizer: [momentum, nesterov]}}
    learning_rate: auto                                       # a range of its own for each optimizer
    l2: {type: float, low: 1e-6, high: 1e-2, log: true, prior: 1e-4}       # see harness.experiment.priors

A parameter may also be a list of such mappings with different `when`, of which at most one holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.errors import ExperimentError
from harness.experiment.distributions import FloatRange
from harness.experiment.parameters import CATALOG, LEARNING_RATES, PLUGIN, known_parameter
from harness.experiment.priors import PriorError, read_prior
from harness.experiment.space import Alternative, Space, When
from harness.experiment.space_conditions import condition_problems, family_problems, in_order_of_conditions
from harness.experiment.space_ranges import read_values
from harness.messages import nearest, shown
from harness.model.parameter import Parameter

AUTOMATIC = "auto"
"""The learning rate's range is that of its optimizer."""


def parse_space(entries: Mapping[str, Any], model: str | None = None) -> Space:
    """The space that the `space:` section of an experiment file describes.

    Args:
        entries: by parameter.
        model: a plug-in, in place of the families: what is not known of all networks is its own.

    Raises:
        ExperimentError: one line for each problem, each beginning with the key path.
    """
    problems: list[str] = []
    found: dict[str, tuple[Alternative, ...]] = {}
    for name, entry in entries.items():
        parameter = parameter_of(name, entry, model)
        if model and name == "family":
            problems.append(f"space.family: the model {model} takes the place of the families")
            continue
        if parameter is None:
            problems.append(f"space.{name}: there is no such parameter{nearest(name, CATALOG)}")
            continue
        try:
            found[name] = tuple(read_alternatives(parameter, entry, entries))
        except PriorError as error:
            problems.append(f"space.{name}.prior: {error}")
        except ValueError as error:
            problems += [f"space.{name}: {line}" for line in str(error).split("\n")]
    if not problems:
        problems = [*condition_problems(found), *(() if model else family_problems(found))]
    if problems:
        raise ExperimentError("\n".join(problems))
    return Space(in_order_of_conditions(found), model)


def parameter_of(name: str, entry: Any, model: str | None) -> Parameter | None:
    """The parameter that an entry is of; None if there is none.

    Args:
        name: as it is written.
        entry: as it is written; of a parameter that only a plug-in knows, it alone says what it may be.
        model: the plug-in.
    """
    return known_parameter(name, model) or (_plugin_parameter(name, entry) if model else None)


def _plugin_parameter(name: str, entry: Any) -> Parameter:
    kind = entry.get("type") if isinstance(entry, dict) else None
    return Parameter(
        name,
        "int" if kind == "int" else "float" if kind == "float" else "any",
        0,
        "The plug-in's own.",
        families=(PLUGIN,),
    )


def read_alternatives(parameter: Parameter, entry: Any, entries: Mapping[str, Any]) -> Iterator[Alternative]:
    """What an entry says; raises ValueError with a sentence if it says nothing sensible.

    Args:
        parameter: the one that the entry is of.
        entry: as it is written.
        entries: all of the section.
    """
    if parameter.name == "learning_rate" and _is_automatic(entry):
        priors = _priors_of_rates(entry) if isinstance(entry, dict) else {}
        yield from _automatic_rates(entries.get("optimizer"), priors)
    elif isinstance(entry, list) and entry and all(isinstance(item, dict) for item in entry):
        for item in entry:
            when = _when(item)
            if not when:
                raise ValueError("each of several alternatives needs a `when`")
            label = ",".join(str(value) for values in when.values() for value in values)
            yield _alternative(f"{parameter.name}[{label}]", parameter, item, when)
    elif isinstance(entry, dict):
        yield _alternative(parameter.name, parameter, entry)
    else:
        yield Alternative(parameter.name, read_values(parameter, entry))


def written_out(name: str, entry: Any) -> Any:
    """A short form as the mapping that it stands for, so that keys can be added; anything else as it is."""
    if name == "learning_rate" and entry == AUTOMATIC:
        return {"type": AUTOMATIC}
    if isinstance(entry, list) and not any(isinstance(item, dict) for item in entry):
        return {"type": "categorical", "choices": entry}
    return entry


def without_priors(entries: Any) -> Any:
    """What a section allows, as it is written, whatever it says is probably good."""
    if not isinstance(entries, dict):
        return entries
    return {name: _without_prior(name, entry) for name, entry in entries.items()}


def _without_prior(name: str, entry: Any) -> Any:
    if isinstance(entry, list) and any(isinstance(item, dict) for item in entry):
        return [_without_prior(name, item) for item in entry]
    written = written_out(name, entry)
    if not isinstance(written, dict):
        return written
    return {key: value for key, value in written.items() if key != "prior"}


def _alternative(
    sampled_as: str, parameter: Parameter, entry: Mapping[str, Any], when: When | None = None
) -> Alternative:
    values = read_values(parameter, entry)
    prior = read_prior(values, entry["prior"]) if entry.get("prior") is not None else None
    return Alternative(sampled_as, values, _when(entry) if when is None else when, prior)


def _is_automatic(entry: Any) -> bool:
    return entry == AUTOMATIC or (isinstance(entry, dict) and entry.get("type") == AUTOMATIC)


def _priors_of_rates(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the rates of some optimizers; raises ValueError if it is nothing sensible."""
    if unknown := entry.keys() - {"type", "prior"}:
        raise ValueError(f"there is no key {shown(min(unknown, key=str))} for type auto; there is prior")
    priors = entry.get("prior")
    if priors is None:
        return {}
    if not isinstance(priors, dict) or not priors:
        raise PriorError(
            f"{shown(priors)} is not allowed; beside type auto it must say what is probably good of an "
            "optimizer's rate, as in {adam: 0.003, momentum: {center: 0.02, spread: 2}}"
        )
    for name in priors:
        if name not in LEARNING_RATES:
            raise PriorError(f"there is no optimizer {shown(name)}{nearest(name, LEARNING_RATES)}")
    return priors


def _automatic_rates(optimizer: Any, priors: Mapping[str, Any]) -> Iterator[Alternative]:
    """A range for each optimizer of the space; for the usual one, if the space names none."""
    if optimizer is None:
        usual = str(CATALOG["optimizer"].default)
        (of_usual,) = _automatic_rates(usual, priors)
        yield replace(of_usual, sampled_as="learning_rate", when={})
        return
    optimizers = optimizer.get("choices", []) if isinstance(optimizer, dict) else optimizer
    for name in optimizers if isinstance(optimizers, list) else [optimizers]:
        if isinstance(name, str) and name in LEARNING_RATES:
            rates = LEARNING_RATES[name]
            values = FloatRange(rates.low, rates.high, log=True)
            prior = read_prior(values, priors[name]) if name in priors else None
            yield Alternative(f"learning_rate[{name}]", values, {"optimizer": (name,)}, prior)


def _when(entry: Mapping[str, Any]) -> When:
    when = entry.get("when", {})
    if not isinstance(when, dict):
        raise ValueError(  # noqa: TRY004 - every problem of a file is collected as a ValueError
            "`when` must map parameters to values, as in {optimizer: [sgd, momentum]}, not be "
            f"{shown(when)}"
        )
    found = {name: tuple(values) if isinstance(values, list) else (values,) for name, values in when.items()}
    for name, values in found.items():
        for value in values:
            if not isinstance(value, (bool, int, float, str)):
                raise ValueError(  # noqa: TRY004 - likewise
                    f"`when` needs plain values for {name}, not {shown(value)}"
                )
    return found
