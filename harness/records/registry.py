"""The kinds of events that there are; each registers itself where it is defined."""

from __future__ import annotations

from typing import Any, TypeVar

EVENT_TYPES: dict[str, type] = {}
"""Every kind of event, by its `kind`."""

T = TypeVar("T")


def event(cls: type[T]) -> type[T]:
    """Register a kind of event, so that it can be read back."""
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    EVENT_TYPES[str(fields["kind"].default)] = cls
    return cls
