"""Lines of text on standard output, no wider than the terminal; where there is none, they stay whole."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Any

from harness.cli import printable

LEAST_WIDTH = 20
"""Characters that a wrapped text gets on a line, however narrow the terminal is."""


def screen_width() -> int | None:
    """Characters on a line of the terminal that standard output goes to; None if it goes elsewhere.

    The environment variable `COLUMNS` comes before what the terminal says of itself.
    """
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_text(text: str, head: str = "") -> None:
    """Print a text behind a head, its further lines beneath its first one; no word is broken."""
    width, indent = screen_width(), " " * len(head)
    lines = printable(text).split("\n")
    if width is not None:
        room = max(LEAST_WIDTH, width - len(indent))
        lines = [
            part
            for line in lines
            for part in textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
        ]
    for number, line in enumerate(lines):
        print(f"{indent if number else head}{line}")


def print_pairs(pairs: dict[str, str]) -> None:
    """Print names and, aligned, their values."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        print_text(value, f"{name:<{width}}  ")


def figure(value: Any) -> str:
    """A value for people; a number has at most four digits behind the point."""
    if isinstance(value, float):
        return f"{value:.4f}" if 0.001 <= abs(value) < 1000 else f"{value:.3g}"
    return str(value)


def duration(seconds: float) -> str:
    """Seconds in the largest unit of which there is a whole one."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
