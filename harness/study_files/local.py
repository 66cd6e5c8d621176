"""The files of a study in a folder that every process can open."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from harness.paths import make_folder, unfinished_in, write_file
from harness.study_files.keeper import Stamp


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
