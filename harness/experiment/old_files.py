"""What earlier versions called things in experiment files and in the logs of studies."""

from __future__ import annotations

from typing import Any

from harness.experiment.dataset_config import UNGROUPED
from harness.experiment.parameters import CATALOG
from harness.model.families.stem import STEM, automatic_stem
from harness.records import Params
from harness.schedulers import DEFAULT_SCHEDULER, SCHEDULERS

LIMITS_ADVICE = "The key limits is now called constraints; rename it."
ALSO_ADVICE = "The key also is gone: list all in objectives, the one that ranks first."


def modernised(values: dict[str, Any]) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    """An experiment as this version writes it.

    `objective` with `also` has become `objectives`, `limits` has become `constraints`. One `objective` is
    still the usual way to write one. Where old and new keys meet in one file, the old ones win. What is not a
    mapping or a list is left alone, for the schema to refuse.

    Returns:
        The experiment; sentences of advice; and key paths as they are in the file, by what they have become.
    """
    values = dict(values)
    advice: list[str] = []
    places: dict[str, str] = {}
    if "limits" in values:
        limits = values.pop("limits")
        values["constraints"], changed = _constraints(values.get("constraints", {}), limits)
        places |= changed
        if limits:
            advice.append(LIMITS_ADVICE)
    if "objective" in values or "also" in values:
        if values.get("also"):
            advice.append(ALSO_ADVICE)
        old: dict[str, Any] = {key: values.pop(key) for key in ("objective", "also") if key in values}
        values["objectives"], changed = _objectives(values.get("objectives", []), old)
        places |= changed
    return values, advice, places


def _constraints(constraints: Any, limits: Any) -> tuple[Any, dict[str, str]]:
    """Both together, and where which stands."""
    if not constraints or not isinstance(constraints, dict) or not isinstance(limits, dict):
        return limits, {"constraints": "limits"}
    return constraints | limits, {f"constraints.{name}": f"limits.{name}" for name in limits}


def _objectives(objectives: Any, old: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """The objectives with `objective` as the first and `also` as the others, and where which stands."""
    if not isinstance(objectives, list):
        return objectives, {}
    first, others, places = objectives[0] if objectives else {}, objectives[1:], {}
    if "objective" in old or not objectives:
        one = old.get("objective", {})
        first = first | one if isinstance(first, dict) and isinstance(one, dict) else one
        places["objectives.0"] = "objective"
    if "also" in old:
        others = old["also"]
        if not isinstance(others, list):
            return others, {"objectives": "also"}
        places |= {f"objectives.{index}": f"also.{index - 1}" for index in range(1, len(others) + 1)}
    return [first, *others], places


def with_precision(training: dict[str, Any]) -> dict[str, Any]:
    """A recorded `training` section with its precision; where none is recorded, it was float32."""
    return {"precision": "float32"} | training


def without_groups(dataset: dict[str, Any]) -> dict[str, Any]:
    """A recorded `dataset` section; where it says nothing of groups, there were none."""
    return {"groups": UNGROUPED} | dataset


def with_own_keys(scheduler: dict[str, Any]) -> dict[str, Any]:
    """A `scheduler` section without keys that only other kinds know; once, every kind had those of all."""
    kind = SCHEDULERS.get(str(scheduler.get("kind", DEFAULT_SCHEDULER)))
    every = {key for one in SCHEDULERS.values() for key in one.settings.model_fields}
    own = kind.settings.model_fields.keys() if kind else every
    return {key: value for key, value in scheduler.items() if key in own or key not in every}


def with_added_parameters(params: Params, image_shape: tuple[int, ...]) -> Params:
    """The parameters of a recorded trial, with those that harness has learned of since.

    They have their defaults, which leave everything as it was; but where `stem: auto` would make another
    network by now, the stem is the one that there was, none. A record without a family is no whole
    configuration, and is left as it is.

    Args:
        params: all parameters that the recording version knew.
        image_shape: height, width and channels of the study's images.
    """
    if "family" not in params:
        return params
    added = {name: one.default for name, one in CATALOG.items() if name not in params}
    with_stem = STEM.name in added and params["family"] in CATALOG[STEM.name].families
    if with_stem and automatic_stem(*image_shape[:2]) != "none":
        added[STEM.name] = "none"
    return params | added
