"""What one entry of a `space:` section may be: a range, choices, or one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.experiment.distributions import (
    MAX_LISTED,
    Choice,
    Constant,
    Distribution,
    FloatRange,
    IntRange,
    is_number,
)
from harness.messages import nearest, shown
from harness.model.parameter import Parameter
from harness.records import Scalar


def read_values(parameter: Parameter, entry: Any) -> Distribution | Constant:
    """What an entry says; raises ValueError with a sentence if it says nothing sensible."""
    if isinstance(entry, list):
        return _choice(parameter, entry)
    if parameter.kind == "any" and isinstance(entry, dict) and "type" not in entry:
        raise ValueError("type is missing; it must be int, float, categorical or constant")
    if not isinstance(entry, dict):
        return Constant(_allowed(parameter, entry))
    kind = entry.get("type")
    keys = {
        "int": {"low", "high", "step", "log", "prior"},
        "float": {"low", "high", "step", "log", "prior"},
        "categorical": {"choices", "prior"},
        "constant": {"value"},
    }
    if not isinstance(kind, str) or kind not in keys:
        raise ValueError(
            f"type is {shown(kind)}; it must be int, float, categorical or constant{nearest(str(kind), keys)}"
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
        if not is_number(value):
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
    if step is not None and (not is_number(step) or not step > 0):
        raise ValueError(f"step is {shown(step)}; it must be a number above 0")
    if step is not None and (high - low) / step > MAX_LISTED:
        raise ValueError(f"step is {shown(step)}, which makes more than {MAX_LISTED:,} values; leave it out")
    if step is not None and log:
        raise ValueError("step and log exclude each other; leave one out")
    if wanted == "int":
        if any(value is not None and not isinstance(value, int) for value in (low, high, step)):
            raise ValueError("low, high and step must be whole numbers")
        if parameter.odd and (step or 1) % 2:
            step = 2
        return IntRange(low, high - (high - low) % (step or 1), step, bool(log))
    return FloatRange(float(low), float(high), None if step is None else float(step), bool(log))
