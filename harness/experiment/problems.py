"""What is wrong with an experiment file, in sentences instead of pydantic's terms."""

from __future__ import annotations

import difflib
import types
import typing
from typing import TYPE_CHECKING

from pydantic import BaseModel

from harness.experiment.schema import SCORES, ExperimentConfig
from harness.messages import nearest, shown
from harness.schedulers import SCHEDULERS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from harness.experiment.experiment import Experiment

Problem = tuple[str, str]
"""A key path, and a sentence fragment about it."""
FIRST_METRIC = "objectives.0.metric"
_BRANCHES = ("tuple[", "list[", "literal[", "constrained-", "function-")


def explain(details: ErrorDetails) -> Problem:  # noqa: PLR0911 - one answer for each kind
    """One of pydantic's errors."""
    names, section = _without_branches([str(part) for part in details["loc"]])
    path, found, kind = ".".join(names), details["input"], details["type"]
    context = details.get("ctx", {})
    if kind == "union_tag_invalid":
        return f"{path}.kind", _not_one_of(context["tag"], list(SCHEDULERS))
    if kind == "union_tag_not_found" and isinstance(found, dict):
        return f"{path}.kind", _not_one_of(found.get("kind"), list(SCHEDULERS))
    if kind == "union_tag_not_found":
        listed = _or(list(SCHEDULERS))
        return path, f"{shown(found)} is not allowed; it must be a mapping with `kind`, one of {listed}"
    if kind == "extra_forbidden":
        siblings = list(section.model_fields) if section else _keys_beside(names)
        near = difflib.get_close_matches(names[-1], siblings, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(siblings)}"
        return path, f"there is no such key{hint}"
    if kind == "missing":
        return path, "this key is missing"
    if path == FIRST_METRIC and kind == "literal_error":
        return path, _not_one_of(found, list(SCORES))
    if kind == "literal_error":
        text = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return path, _not_one_of(found, text.split(", "))
    if kind == "string_pattern_mismatch":
        return path, (
            f"{shown(found)} is not a name; use up to 40 lower-case letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    if kind == "too_short":
        return path, "it is empty; it needs at least one entry"
    if kind in ("model_type", "dict_type"):
        return path, f"{shown(found)} is not allowed: it must be a mapping of keys to values"
    message = details["msg"].removeprefix("Value error, ").replace("Input should be ", "it must be ")
    return path, f"{shown(found)} is not allowed: {message[0].lower()}{message[1:]}"


def objective_problems(experiment: Experiment) -> list[Problem]:
    """Objectives that do not fit each other or the scheduler."""
    names, kind = [one.name for one in experiment.objectives], experiment.scheduler.kind
    problems = []
    if names[0] not in SCORES:
        problems.append(
            (FIRST_METRIC, f"{_not_one_of(names[0], list(SCORES))}; the first objective ranks trials")
        )
    problems += [
        (f"objectives.{index}.metric", f"{name} is an objective already; name each once")
        for index, name in enumerate(names)
        if name in names[:index]
    ]
    if len(names) > 1 and SCHEDULERS[kind].one_objective:
        others = _or([name for name, other in SCHEDULERS.items() if not other.one_objective])
        problems.append(("scheduler.kind", f"{kind} knows one objective only; use {others}"))
    return problems


def not_repeatable(experiment: Experiment) -> list[Problem]:
    """What a clock would decide, so that an ordered study could not be repeated."""
    problems = []
    if experiment.search.max_trial_seconds is not None:
        why = "an ordered study cannot end trials by the clock, which no seed repeats"
        problems.append(("search.max_trial_seconds", why))
    measured = "an ordered study cannot decide by latency_ms, which is measured anew every time"
    if "latency_ms" in experiment.constraints:
        problems.append(("constraints.latency_ms", measured))
    problems += [
        (f"objectives.{index}.metric", measured)
        for index, one in enumerate(experiment.objectives)
        if one.name == "latency_ms"
    ]
    return problems


def _not_one_of(found: object, allowed: list[str]) -> str:
    return f"{shown(found)} is not allowed; it must be {_or(allowed)}{nearest(shown(found), allowed)}"


def _or(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _without_branches(parts: list[str]) -> tuple[list[str], type[BaseModel] | None]:
    """A path without the branches of unions that pydantic names in it; and a scheduler's own settings."""
    section = None
    if len(parts) > 1 and parts[0] == "scheduler" and parts[1] in SCHEDULERS:
        section = SCHEDULERS[parts[1]].settings
        parts = [parts[0], *parts[2:]]
    return [
        part for part in parts if part not in ("int", "none", "[key]") and not part.startswith(_BRANCHES)
    ], section


def _keys_beside(names: list[str]) -> list[str]:
    model: type[BaseModel] = ExperimentConfig
    for name in names[:-1]:
        if name.isdecimal():
            continue  # an entry of a list
        inner = model.model_fields[name].annotation
        if isinstance(inner, types.UnionType | types.GenericAlias):
            inner = typing.get_args(inner)[0]
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        model = inner
    short = ["objective"] if model is ExperimentConfig else []
    return [*short, *model.model_fields]
