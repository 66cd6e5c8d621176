"""The search space as data: which values each parameter may take, and when.

    depth: {type: int, low: 1, high: 4}                       # step and log are optional
    dropout: {type: float, low: 0.0, high: 0.5, step: 0.05}
    optimizer: [sgd, momentum, adam]                          # short for {type: categorical, choices: …}
    batch_size: 64                                            # a constant
    momentum: {type: float, low: 0.8, high: 0.99, when: {optimizer: [momentum, nesterov]}}
    learning_rate: auto                                       # a range of its own for each optimizer

A parameter may also be a list of such mappings with different `when`, of which at most one holds.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from harness.errors import ExperimentError
from harness.experiment.parameters import CATALOG, LEARNING_RATES, PLUGIN, Parameter, nearest, shown
from harness.records import Params, Scalar


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    step: int | None = None
    log: bool = False


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Numbers from `low` to `high`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values."""

    choices: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """One value; nothing is sampled."""

    value: Scalar


MAX_LISTED = 1_000_000
"""Values of one parameter beyond which a range counts as continuous."""

Distribution: TypeAlias = IntRange | FloatRange | Choice
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


@dataclass(frozen=True, slots=True)
class Space:
    """Alternatives by parameter, in an order in which conditions are decided before they are asked."""

    parameters: dict[str, tuple[Alternative, ...]]
    model: str | None = None
    """A plug-in, `package.module:function`, in place of the built-in families."""

    def size(self) -> int | None:
        """How many configurations there are; None if a searched parameter is continuous."""
        names = list(self.parameters)
        deciding = {asked for alts in self.parameters.values() for alt in alts for asked in alt.when}

        def count(position: int, params: Params) -> int | None:
            if position == len(names):
                return 1
            name = names[position]
            held = [one for one in self.parameters[name] if _holds(one.when, params)]
            values = _listed(held[0].values) if held else [None]
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

    def searched(self) -> list[str]:
        """The sampler's names."""
        return [
            alternative.sampled_as
            for alternatives in self.parameters.values()
            for alternative in alternatives
            if not isinstance(alternative.values, Constant)
        ]


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
            if not _holds(alternative.when, params):
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
            if not _holds(alternative.when, params):
                continue
            if isinstance(alternative.values, Constant):
                yield from extend(position + 1, params | {name: alternative.values.value}, sampled)
            else:
                for value in _every(alternative.values):
                    yield from extend(
                        position + 1, params | {name: value}, sampled | {alternative.sampled_as: value}
                    )
            return
        yield from extend(position + 1, params, sampled)

    yield from extend(0, {}, {})


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
            return _stepped(among, rng.randint(0, _steps(among)))
        found = _log_uniform(rng, among.low, among.high) if among.log else rng.uniform(among.low, among.high)
        return min(max(found, among.low), among.high)

    return draw


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _every(values: Distribution) -> Iterator[Any]:
    """All values, in order."""
    if isinstance(values, Choice):
        yield from values.choices
    elif isinstance(values, IntRange):
        yield from range(values.low, values.high + 1, values.step or 1)
    elif values.step is not None:
        yield from (_stepped(values, index) for index in range(_steps(values) + 1))
    else:
        value = values.low
        while value <= values.high:
            yield value
            value = math.nextafter(value, math.inf)


def on_a_step(values: FloatRange, value: float) -> float:
    """The value of a range with steps that is meant by a number a rounding error away from it."""
    assert values.step is not None
    return _stepped(values, min(round((value - values.low) / values.step), _steps(values)))


def _steps(values: IntRange | FloatRange) -> int:
    """How many steps there are from the lowest to the highest value."""
    low, high, step = (Decimal(str(value)) for value in (values.low, values.high, values.step or 1))
    return int((high - low) // step)


def _stepped(values: FloatRange, index: int) -> float:
    """The value `index` steps above the lowest, as a person would write it: 0.3, not 0.30000000000000004."""
    return min(float(Decimal(str(values.low)) + index * Decimal(str(values.step))), values.high)


def _listed(values: Distribution | Constant) -> list[Any] | None:
    """All values, in order; None for a continuous range, and for one that is as good as continuous."""
    if isinstance(values, Constant):
        return [values.value]
    if isinstance(values, FloatRange) and values.step is None:
        return [values.low] if values.low == values.high else None
    steps = len(values.choices) if isinstance(values, Choice) else _steps(values)
    return None if steps > MAX_LISTED else list(_every(values))


def defaults(space: Space) -> Params:
    """One sensible configuration: the catalog's defaults where the space allows them, else its nearest."""

    def middle(name: str, among: Distribution) -> Scalar:
        parameter, _, label = name.partition("[")
        default = CATALOG[parameter].default if parameter in CATALOG else None
        if parameter == "learning_rate" and label.rstrip("]") in LEARNING_RATES:
            default = LEARNING_RATES[label.rstrip("]")].default
        if isinstance(among, Choice):
            return default if default in among.choices else among.choices[0]
        if default is None:
            return among.low
        found = min(max(float(default), among.low), among.high)
        if among.step is not None:
            steps = min(round((found - among.low) / among.step), _steps(among))
            found = among.low + steps * among.step if isinstance(among, IntRange) else _stepped(among, steps)
        return round(found) if isinstance(among, IntRange) else found

    return resolve(space, middle)[0]


def parse_space(entries: Mapping[str, Any], model: str | None = None) -> Space:
    """The space that the `space:` section of an experiment file describes.

    Args:
        entries: by parameter.
        model: with a plug-in, parameters that the catalog does not know are its own.

    Raises:
        ExperimentError: one line for each problem, each beginning with the key path.
    """
    problems: list[str] = []
    found: dict[str, tuple[Alternative, ...]] = {}
    for name, entry in entries.items():
        parameter = CATALOG.get(name) or (_plugin_parameter(name, entry) if model else None)
        if model and name == "family":
            problems.append(f"space.family: the model {model} takes the place of the families")
            continue
        if parameter is None:
            problems.append(f"space.{name}: there is no such parameter{nearest(name, list(CATALOG))}")
            continue
        try:
            found[name] = tuple(_alternatives(parameter, entry, entries))
        except ValueError as error:
            problems += [f"space.{name}: {line}" for line in str(error).split("\n")]
    if not problems:
        problems = [*_condition_problems(found), *(() if model else _family_problems(found))]
    if problems:
        raise ExperimentError("\n".join(problems))
    return Space(_ordered(found), model)


def _plugin_parameter(name: str, entry: Any) -> Parameter:
    """A parameter that only the plug-in knows: the file alone says what it may be."""
    kind = entry.get("type") if isinstance(entry, dict) else None
    return Parameter(
        name,
        "int" if kind == "int" else "float" if kind == "float" else "any",
        0,
        "The plug-in's own.",
        families=(PLUGIN,),
    )


def start_problems(space: Space, starts: Any) -> list[tuple[str, str]]:
    """What is wrong with the `start_with` section: key paths and sentences."""
    found: list[tuple[str, str]] = []
    for index, start in enumerate(starts if isinstance(starts, list) else []):
        for name, value in start.items() if isinstance(start, dict) else ():
            path = f"start_with.{index}.{name}"
            if name not in space.parameters:
                found.append((path, f"{name} is not in the space{nearest(name, list(space.parameters))}"))
            elif not any(_contains(one.values, value) for one in space.parameters[name]):
                found.append((path, f"{value!r} is outside of the space"))
    return found


def _contains(values: Distribution | Constant, value: Any) -> bool:
    if isinstance(values, (IntRange, FloatRange)):
        return isinstance(value, (int, float)) and values.low <= value <= values.high
    return value in (_listed(values) or [])


def _holds(when: When, params: Params) -> bool:
    return all(name in params and params[name] in allowed for name, allowed in when.items())


def _alternatives(parameter: Parameter, entry: Any, entries: Mapping[str, Any]) -> Iterator[Alternative]:
    if parameter.name == "learning_rate" and entry == "auto":
        yield from _automatic_rates(entries.get("optimizer", CATALOG["optimizer"].default))
    elif isinstance(entry, list) and entry and all(isinstance(item, dict) for item in entry):
        for item in entry:
            when = _when(item)
            if not when:
                raise ValueError("each of several alternatives needs a `when`")
            label = ",".join(str(value) for values in when.values() for value in values)
            yield Alternative(f"{parameter.name}[{label}]", _values(parameter, item), when)
    elif isinstance(entry, dict):
        yield Alternative(parameter.name, _values(parameter, entry), _when(entry))
    else:
        yield Alternative(parameter.name, _values(parameter, entry))


def _automatic_rates(optimizer: Any) -> Iterator[Alternative]:
    optimizers = optimizer.get("choices", []) if isinstance(optimizer, dict) else optimizer
    for name in optimizers if isinstance(optimizers, list) else [optimizers]:
        if isinstance(name, str) and name in LEARNING_RATES:
            rates = LEARNING_RATES[name]
            yield Alternative(
                f"learning_rate[{name}]",
                FloatRange(rates.low, rates.high, log=True),
                {"optimizer": (name,)},
            )


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


def _is_number(value: Any) -> bool:
    """Whether it is a finite number that fits a double."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _values(parameter: Parameter, entry: Any) -> Distribution | Constant:
    if isinstance(entry, list):
        return _choice(parameter, entry)
    if parameter.kind == "any" and isinstance(entry, dict) and "type" not in entry:
        raise ValueError("type is missing; it must be int, float, categorical or constant")
    if not isinstance(entry, dict):
        return Constant(_allowed(parameter, entry))
    kind = entry.get("type")
    keys = {
        "int": {"low", "high", "step", "log"},
        "float": {"low", "high", "step", "log"},
        "categorical": {"choices"},
        "constant": {"value"},
    }
    if not isinstance(kind, str) or kind not in keys:
        raise ValueError(
            f"type is {shown(kind)}; it must be int, float, categorical or constant"
            f"{nearest(str(kind), list(keys))}"
        )
    unknown = set(entry) - keys[kind] - {"type", "when"}
    if unknown:
        word = min(unknown)
        raise ValueError(
            f"there is no key {shown(word)} for type {kind}; "
            f"there are {', '.join(sorted(keys[kind]))} and when"
            f"{nearest(word, [*keys[kind], 'when'])}"
        )
    if kind == "categorical":
        return _choice(parameter, entry.get("choices"))
    if kind == "constant":
        return Constant(_allowed(parameter, entry.get("value")))
    return _range(parameter, kind, entry)


def _allowed(parameter: Parameter, value: Any) -> Scalar:
    if value is None or isinstance(value, (list, dict)):
        raise ValueError(f"{shown(value)} is not a value")
    problem = parameter.problem_with(value)
    if problem:
        raise ValueError(problem)
    scalar: Scalar = value
    return scalar


def _choice(parameter: Parameter, choices: Any) -> Choice:
    if not isinstance(choices, list) or not choices:
        raise ValueError("the choices are empty; list at least one value")
    found = tuple(_allowed(parameter, value) for value in choices)
    if len(set(map(repr, found))) < len(found):
        raise ValueError(f"a choice stands twice in {list(found)}")
    return Choice(found)


def _range(  # noqa: PLR0912 - one check after the other
    parameter: Parameter, kind: str, entry: Mapping[str, Any]
) -> Distribution:
    wanted = "int" if parameter.kind == "int" else "float"
    if parameter.kind not in ("int", "float") or (kind == "float" and wanted == "int"):
        allowed = wanted if parameter.kind in ("int", "float") else "categorical"
        raise ValueError(f"type is {kind}, but {parameter.name} takes type {allowed}")
    low, high, step, log = (entry.get(key) for key in ("low", "high", "step", "log"))
    for key, value in (("low", low), ("high", high)):
        if value is None:
            raise ValueError(f"{key} is missing")
        if not _is_number(value):
            raise ValueError(f"{key} is {shown(value)}, which is not a finite number")
    assert low is not None
    assert high is not None
    if low > high:
        raise ValueError(f"the range is empty: low {shown(low)} is above high {shown(high)}")
    for value in (low, high):
        if problem := parameter.problem_with(value):
            raise ValueError(problem)
    if log not in (None, True, False):
        raise ValueError(f"log is {shown(log)}; it must be true or false")
    if log and low <= 0:
        raise ValueError(f"log needs low above 0, but low is {low}")
    if step is not None and (not _is_number(step) or not step > 0):
        raise ValueError(f"step is {shown(step)}; it must be a number above 0")
    if step is not None and (high - low) / step > MAX_LISTED:
        raise ValueError(f"step is {shown(step)}, which makes more than {MAX_LISTED:,} values; leave it out")
    if step is not None and log:
        raise ValueError("step and log exclude each other; leave one out")
    if wanted == "int":
        if any(value is not None and not isinstance(value, int) for value in (low, high, step)):
            raise ValueError("low, high and step must be whole numbers")
        if parameter.name == "kernel_size" and (step or 1) % 2:
            step = 2
        return IntRange(low, high - (high - low) % (step or 1), step, bool(log))
    return FloatRange(float(low), float(high), None if step is None else float(step), bool(log))


def _possible(alternatives: tuple[Alternative, ...]) -> set[Scalar] | None:
    """All values a parameter can have, or None if they cannot be listed."""
    found: set[Scalar] = set()
    for alternative in alternatives:
        if isinstance(alternative.values, Choice):
            found |= set(alternative.values.choices)
        elif isinstance(alternative.values, Constant):
            found.add(alternative.values.value)
        elif isinstance(alternative.values, IntRange) and (values := _listed(alternative.values)):
            found |= set(values)
        else:
            return None
    return found


def _condition_problems(space: dict[str, tuple[Alternative, ...]]) -> Iterator[str]:
    for name, alternatives in space.items():
        for alternative in alternatives:
            for asked, allowed in alternative.when.items():
                path = f"space.{name}.when.{asked}"
                if asked not in space:
                    yield f"{path}: {asked} is not in the space{nearest(asked, list(space))}"
                    continue
                possible = _possible(space[asked])
                for value in allowed:
                    if possible is not None and value not in possible:
                        known = ", ".join(sorted(map(str, possible)))
                        yield f"{path}: {asked} is never {shown(value)}; it is one of {known}"
        for one, other in itertools.combinations(alternatives, 2):
            if _can_both_hold(one.when, other.when):
                yield f"space.{name}: two alternatives can hold at once ({one.when} and {other.when})"
    waiting = {name: {asked for alt in alts for asked in alt.when} for name, alts in space.items()}
    while ready := [name for name, asked in waiting.items() if not asked & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        yield f"space.{min(waiting)}: its `when` depends on itself, by way of {', '.join(sorted(waiting))}"


def _can_both_hold(one: When, other: When) -> bool:
    return all(set(one[name]) & set(other[name]) for name in one.keys() & other.keys())


def _family_problems(space: dict[str, tuple[Alternative, ...]]) -> Iterator[str]:
    """A parameter that none of the families in the space uses would be searched in vain."""
    alternatives = space.get("family", (Alternative("family", Constant(CATALOG["family"].default)),))
    families = _possible(alternatives) or set()
    for name in space:
        if not families & set(CATALOG[name].families):
            used_by = ", ".join(CATALOG[name].families)
            yield f"space.{name}: has no effect on {', '.join(map(str, families))}; only on {used_by}"


def _ordered(space: dict[str, tuple[Alternative, ...]]) -> dict[str, tuple[Alternative, ...]]:
    """Conditions first, otherwise as written."""
    ordered: dict[str, tuple[Alternative, ...]] = {}

    def place(name: str) -> None:
        if name not in ordered:
            for alternative in space[name]:
                for asked in alternative.when:
                    place(asked)
            ordered[name] = space[name]

    for name in space:
        place(name)
    return ordered
