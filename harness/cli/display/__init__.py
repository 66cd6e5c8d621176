"""What a person sees while a sweep runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol, cast

from rich.console import Console

from harness.cli.display.lasting import LastingStream
from harness.cli.display.live import LiveDisplay
from harness.cli.display.plain import PlainDisplay
from harness.sweeping.plan import SweepResult, Watcher


class Display(Watcher, Protocol):
    """A watcher that can also say how the sweep ended."""

    def ended(self, result: SweepResult) -> None:
        """The sweep has ended."""


@contextmanager
def open_display() -> Iterator[Display]:
    """The display that fits standard error; it lets go of the terminal at the end."""
    console = Console(file=cast("IO[str]", LastingStream(sys.stderr)), highlight=False, soft_wrap=True)
    if not console.is_terminal or os.environ.get("TERM") == "dumb":
        yield PlainDisplay()
        return
    display = LiveDisplay(console)
    try:
        yield display
    finally:
        display.close()
