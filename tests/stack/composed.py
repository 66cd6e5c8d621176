"""What Compose makes of the project's compose files, and how a service's command runs without containers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
STACK = ROOT / "docker-compose.yml"
LOGIN = ROOT / "deploy" / "compose.login.yml"

VARIABLE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)(?:(:[-+?])((?:[^{}$]|\$\w+|\$\{\w+\})*))?\})")
REPLACED = {"command", "entrypoint", "test"}
"""Lists that a further file replaces; others it adds to."""


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Text with variables filled in by Compose's rules; unset ones without a default are empty."""

    def value(match: re.Match[str]) -> str:
        dollar, plain, name, how, other = match.groups()
        if dollar:
            return "$"
        found = variables.get(plain or name, "")
        if how == ":+":
            return interpolated(other, variables) if found else ""
        if not found and how == ":?":
            raise ValueError(other)
        return found or (interpolated(other, variables) if how == ":-" else "")

    return VARIABLE.sub(value, text)


def _filled(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(one, variables) for key, one in node.items()}
    if isinstance(node, list):
        return [_filled(one, variables) for one in node]
    return interpolated(node, variables) if isinstance(node, str) else node


def _merged(under: Any, over: Any, key: str = "") -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        both = {name: _merged(under[name], over[name], name) for name in under if name in over}
        return under | over | both
    if isinstance(under, list) and isinstance(over, list) and key not in REPLACED:
        return under + over
    return over


def composed(*files: Path, **variables: str) -> dict[str, Any]:
    """The files, each over those before it, with these variables in the environment."""
    whole: dict[str, Any] = {}
    for file in files or (STACK,):
        whole = _merged(whole, yaml.safe_load(file.read_text(encoding="utf-8")))
    filled = _filled(whole, variables)
    assert isinstance(filled, dict)
    return filled


@dataclass(frozen=True)
class Native:
    """A service's command as it runs on this machine: the same flags and environment, other places."""

    command: list[str]
    environment: dict[str, str]
    health: list[str]


def replaced(text: str, places: Mapping[str, str]) -> str:
    """Text with all places put in at once, the longest that fits first."""
    longest_first = sorted(places, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: places[match[0]], text)


def native(service: dict[str, Any], places: Mapping[str, str]) -> Native:
    """A service without its container.

    Args:
        service: of `composed`.
        places: what stands in the container for what here: folders, hosts, ports.
    """

    def here(text: object) -> str:
        return replaced(str(text), places)

    environment = {name: here(value) for name, value in service.get("environment", {}).items()}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return Native(
        command=[here(one) for one in [*service.get("entrypoint", []), *service["command"]]],
        environment=environment | {"PATH": path},
        health=[here(one) for one in service["healthcheck"].get("test", ["CMD"])[1:]],
    )
