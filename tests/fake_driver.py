"""A driver that a test makes up: an `nvidia-smi` that prints what NVIDIA's prints for such devices."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOL = "nvidia-smi"


@dataclass(frozen=True)
class FakeCard:
    """A card as the driver tells of it; sizes in MiB."""

    uuid: str
    model: str = "NVIDIA A100-SXM4-40GB"
    memory: str = "40960"
    used: str = "4"
    driver: str = "550.54.15"
    capability: str = "8.0"
    mig: str = "Disabled"
    parts: tuple[tuple[str, str], ...] = ()
    """Profile and UUID of each MIG device."""


def query(cards: Sequence[FakeCard]) -> str:
    """What `--query-gpu=… --format=csv,noheader,nounits` prints."""
    return "".join(
        f"{index}, {one.uuid}, {one.memory}, {one.used}, {one.driver}, "
        f"{one.capability}, {one.mig}, {one.model}\n"
        for index, one in enumerate(cards)
    )


def listing(cards: Sequence[FakeCard]) -> str:
    """What `-L` prints."""
    lines = []
    for index, one in enumerate(cards):
        lines.append(f"GPU {index}: {one.model} (UUID: {one.uuid})\n")
        lines += [
            f"  MIG {profile:<15} Device {place:>2}: (UUID: {uuid})\n"
            for place, (profile, uuid) in enumerate(one.parts)
        ]
    return "".join(lines)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, cards: Sequence[FakeCard]) -> Path:
    """Put a driver with these cards first in PATH; returns a file with a line for each question to it."""
    (folder / "query.csv").write_text(query(cards))
    (folder / "list.txt").write_text(listing(cards))
    asked = folder / "asked.txt"
    asked.touch()
    return (
        install_script(
            folder,
            monkeypatch,
            f'echo "$*" >> "{asked}"\n'
            'case "$1" in\n'
            f'  -L) cat "{folder}/list.txt" ;;\n'
            f'  --query-gpu=*) cat "{folder}/query.csv" ;;\n'
            "  *) exit 2 ;;\n"
            "esac\n",
        ).parent
        / asked.name
    )


def install_script(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a driver that does as a shell script says first in PATH."""
    tool = folder / TOOL
    tool.write_text(f"#!/bin/sh\n{body}")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return tool
