"""How a room lists what it has: one line for each thing, which names the file and the record in it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def registered(package: str, places: Mapping[str, str]) -> dict[str, Any]:
    """The records of a registry, by name.

    Args:
        package: the registry's own package, `__name__` there.
        places: by name `module:RECORD`, a module of the package and a record in it. The module is imported at
            once, so it must import nothing heavy.
    """
    found = {}
    for name, place in places.items():
        module, _, record = place.partition(":")
        found[name] = getattr(import_module(f"{package}.{module}"), record)
    return found
