"""The files of a study that workers write and read: checkpoints and models.

Workers may be on other machines than the coordinator. Nothing but this module knows where the files are: a
file is known by its name within the study, such as `trials/00007/checkpoint-00003-1.ckpt`, which is what the
event log holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from harness.paths import make_folder, unfinished_in, write_file


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
            HarnessError: there is no place where it could be written.
        """

    def stamp(self, name: str) -> Stamp:
        """By what a file is recognised, as it is now.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
        """

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
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


class LocalStudyFiles:
    """The files in a folder that every process can open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, fill: Callable[[Path], object]) -> None:
        """Write the file aside, sync it and rename it."""
        target = self._folder / name
        make_folder(target.parent)
        write_file(target, fill)

    def stamp(self, name: str) -> Stamp:
        """Read the file once."""
        with (self._folder / name).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return Stamp(hashlib.file_digest(stream, "sha256").hexdigest(), size)

    def read(self, name: str) -> bytes:
        """The bytes in the file."""
        return (self._folder / name).read_bytes()

    def remove(self, name: str) -> None:
        """Unlink the file."""
        (self._folder / name).unlink(missing_ok=True)

    def names(self, folder: str, pattern: str) -> list[str]:
        """List the folder; one that is missing has no files."""
        found = (self._folder / folder).glob(pattern)
        return sorted(str(PurePosixPath(folder) / file.name) for file in found)

    def remove_unfinished(self, folder: str) -> None:
        """Remove what has the name of unfinished work in the folder and below."""
        for leftover in unfinished_in(self._folder / folder):
            with contextlib.suppress(OSError):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def shown(self, name: str) -> str:
        """The path."""
        return str(self._folder / name)


def study_files(place: str | Path) -> StudyFiles:
    """The files of the study at `place`, as `Segment.study_folder` names it: a local folder."""
    return LocalStudyFiles(Path(place))
