"""Paths of models of one's own in an experiment file: they are made absolute, so that a study finds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from harness.experiment.parameters import CATALOG
from harness.experiment.problems import Problem
from harness.experiment.space import Space
from harness.experiment.space_conditions import possible_values
from harness.messages import shown
from harness.model.parameter import is_path

PATHS = tuple(name for name, parameter in CATALOG.items() if parameter.paths)
"""Parameters that a path may be the value of."""


def with_absolute_paths(values: dict[str, Any]) -> dict[str, Any]:
    """The values of an experiment file in which the paths of all models that are there are absolute.

    What has another form than an experiment's values is left alone, for the schema to refuse.
    """
    space, starts = values.get("space"), values.get("start_with")
    changed: dict[str, Any] = {}
    if isinstance(space, dict):
        changed["space"] = {name: _entry(name, entry) for name, entry in space.items()}
    if isinstance(starts, list):
        changed["start_with"] = [_each(start) for start in starts]
    return values | changed


def missing_models(space: Space) -> Iterator[Problem]:
    """Key paths and sentences for the paths in a space at which there is nothing."""
    for name in PATHS:
        for value in sorted(map(str, possible_values(space.parameters.get(name, ())) or ())):
            if value not in CATALOG[name].choices and (problem := _why_missing(value)):
                yield f"space.{name}", problem


def _entry(name: str, entry: Any) -> Any:
    """A parameter's entry in a space; the conditions of every parameter may name a path."""
    if isinstance(entry, list):
        return [_alternative(name, one) for one in entry]
    return _alternative(name, entry)


def _alternative(name: str, entry: Any) -> Any:
    if not isinstance(entry, dict):
        return _absolute(name, entry)
    own = {key: _absolute(name, entry[key]) for key in ("choices", "value") if key in entry}
    conditions = {"when": _each(entry["when"])} if "when" in entry else {}
    return entry | own | conditions


def _each(values: Any) -> Any:
    """Values by the names of their parameters."""
    if not isinstance(values, dict):
        return values
    return {name: _absolute(name, value) for name, value in values.items()}


def _absolute(name: str, value: Any) -> Any:
    """A value, or a list of values, of a parameter."""
    if name not in PATHS:
        return value
    if isinstance(value, list):
        return [_absolute_path(name, one) for one in value]
    return _absolute_path(name, value)


def _absolute_path(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not value or value in CATALOG[name].choices:
        return value
    whole = os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111 - any text
    return whole if os.path.exists(whole) else value  # noqa: PTH110 - likewise


def _why_missing(value: str) -> str | None:
    """A sentence fragment, if there is nothing at the place that a value names."""
    if not is_path(value):
        return None
    try:
        os.stat(os.path.expanduser(value))  # noqa: PTH111, PTH116 - any text
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return f"there is no file or folder {shown(value)}"
    except OSError as error:
        return f"{shown(value)} cannot be read: {error.strerror}"
    return None
