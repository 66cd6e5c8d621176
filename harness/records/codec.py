"""Records from the JSON-serialisable builtins that `dataclasses.asdict` makes of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from harness.records.basic import Annealing, Checkpoint, Dataset, Evaluation, Segment
from harness.records.device import Device
from harness.records.ensemble import Gain, Member
from harness.records.registry import EVENT_TYPES
from harness.records.study_events import Event
from harness.records.worker_events import WorkerEvent


@cache
def _adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def segment_from_dict(values: dict[str, Any]) -> Segment:
    """The inverse of `dataclasses.asdict` for a segment; raises `pydantic.ValidationError`."""
    return _adapter(Segment).validate_python(values)  # type: ignore[no-any-return]


def dataset_from_dict(values: dict[str, Any]) -> Dataset:
    """The inverse of `dataclasses.asdict` for a data set; raises `pydantic.ValidationError`."""
    return _adapter(Dataset).validate_python(values)  # type: ignore[no-any-return]


def event_from_dict(values: dict[str, Any]) -> Event | WorkerEvent:
    """The inverse of `dataclasses.asdict` for an event; raises `KeyError` or `pydantic.ValidationError`."""
    return _adapter(EVENT_TYPES[values["kind"]]).validate_python(values)  # type: ignore[no-any-return]


def event_from_log(values: dict[str, Any]) -> Event:
    """Like `event_from_dict`, many times faster, for values that a checksum vouches for.

    Raises:
        KeyError: there is no such kind of event.
        TypeError: the fields are not those of that kind.
    """
    kind = values["kind"]
    if kind == "study_started":  # the only one with tuples, and rare
        return event_from_dict(values)  # type: ignore[return-value]
    if "checkpoint" in values:
        values = values | {"checkpoint": Checkpoint(**values["checkpoint"])}
    if values.get("annealing") is not None:
        values = values | {"annealing": Annealing(**values["annealing"])}
    if "evaluations" in values:
        values = values | {"evaluations": [Evaluation(**one) for one in values["evaluations"]]}
    if values.get("evaluation") is not None:
        values = values | {"evaluation": Evaluation(**values["evaluation"])}
    if values.get("device") is not None:
        values = values | {"device": Device(**values["device"])}
    if kind == "ensemble_saved":
        members = [Member(**one) for one in values["members"]]
        values = values | {"members": members, "gain": Gain(**values["gain"])}
    return EVENT_TYPES[kind](**values)  # type: ignore[no-any-return]
