"""What keeps the files of a study: it knows where they are, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is recognised."""

    sha256: str
    """The SHA-256 of its content, in hexadecimal digits."""
    size: int
    """Its length in bytes."""


class StudyFiles(Protocol):
    """Files by their names within one study, with `/` between folders."""

    def write(self, name: str, fill: Callable[[Path], object]) -> None:
        """Write a file, all or nothing; it is durable when this returns.

        Args:
            name: of the file; what had it before is replaced.
            fill: writes the content to the local path that it is given, which has the same suffix.

        Raises:
            OSError: it cannot be written; there may be no room.
            UnreachableError: where it should go cannot be reached for now.
        """

    def stamp(self, name: str) -> Stamp:
        """By what a file is recognised, as it is now.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
            UnreachableError: where it is cannot be reached for now.
        """

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
            UnreachableError: where it is cannot be reached for now.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if there is one.

        Raises:
            OSError: it is there and cannot be removed.
        """

    def names(self, folder: str, pattern: str) -> list[str]:
        """The names of the files directly in a folder whose last parts match a pattern, sorted."""

    def remove_unfinished(self, folder: str) -> None:
        """Remove what writers that were killed have left in a folder, as far as that can be done."""

    def shown(self, name: str) -> str:
        """Where a file or folder is, for people."""
