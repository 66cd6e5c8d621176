"""Output that outlives its reader."""

from __future__ import annotations

from contextlib import suppress
from io import TextIOBase
from typing import TextIO


class LastingStream(TextIOBase):
    """A stream that may lose its reader: a closed terminal, or the end of a pipe, must not end a sweep."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        """Whether the stream beneath is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream beneath."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write the text if there is still somebody to read it; returns the number of its characters."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream beneath if there is still somebody to read it."""
        with suppress(OSError):
            self._stream.flush()
