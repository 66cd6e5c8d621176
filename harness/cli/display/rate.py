"""How far many files are, and how fast: a bar on a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import IO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli import printable
from harness.cli.display.lasting import LastingStream
from harness.data.sentences import counted

LINE_SECONDS = 5.0


class RateDisplay:
    """Shows on standard error how many files are done, and how many images or clips a second."""

    def __init__(
        self, total: int | None, *, bar: bool, doing: str = "classifying", noun: str = "image"
    ) -> None:
        """Nothing is done yet.

        Args:
            total: files that there are; None if that is not known.
            bar: whether one may be drawn.
            doing: what is done with them, in a word.
            noun: what they are.
        """
        self._total, self._doing, self._noun = total, doing, noun
        self._files = self._images = 0
        self._began = self._said = time.monotonic()
        console = Console(file=cast("IO[str]", LastingStream(sys.stderr)), highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        if bar and console.is_terminal and os.environ.get("TERM") != "dumb":
            self._bar = Progress(
                TextColumn(doing),
                BarColumn(bar_width=40),
                TextColumn(
                    "{task.completed:.0f}" if total is None else "{task.completed:.0f}/{task.total:.0f}"
                ),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, rate="")

    def __enter__(self) -> RateDisplay:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def images(self, number: int) -> None:
        """So many more images, clips or frames are done."""
        self._images += number
        self._draw()

    def file(self) -> None:
        """One more file is done."""
        self._files += 1
        self._draw()

    def images_of_files(self, number: int) -> None:
        """So many more files are done, each with one image."""
        self._files += number
        self.images(number)

    def note(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        if self._bar is not None:
            self._bar.console.print(printable(sentence), markup=False)
        else:
            print(printable(sentence), file=LastingStream(sys.stderr), flush=True)

    def said(self) -> str:
        """How many of them there were, how long they took, and the rate."""
        seconds = time.monotonic() - self._began
        return f"{counted(self._images, self._noun)} in {seconds:.1f} s ({self._rate()})"

    def _rate(self) -> str:
        return f"{self._images / max(time.monotonic() - self._began, 1e-3):,.0f} {self._noun}s/s"

    def _draw(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self._files, rate=self._rate())
        elif time.monotonic() - self._said > LINE_SECONDS:
            self._said = time.monotonic()
            of = "" if self._total is None else f" of {self._total:,}"
            self.note(f"{self._doing}: {self._files:,}{of} files, {self._rate()}")
