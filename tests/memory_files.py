"""The files of a study in memory: a second keeper beside the local folder, for suites that run over both."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from harness.study_files import Stamp


class MemoryFiles:
    """Files by name in a dictionary, with a local folder only while one of them is written."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def write(self, name: str, fill: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / name.rpartition("/")[2]
            fill(local)
            self.contents[name] = local.read_bytes()

    def stamp(self, name: str) -> Stamp:
        content = self.read(name)
        return Stamp(hashlib.sha256(content).hexdigest(), len(content))

    def read(self, name: str) -> bytes:
        if name not in self.contents:
            raise FileNotFoundError(name)
        return self.contents[name]

    def remove(self, name: str) -> None:
        self.contents.pop(name, None)

    def names(self, folder: str, pattern: str) -> list[str]:
        return sorted(
            name
            for name in self.contents
            if name.rpartition("/")[0] == folder and fnmatchcase(name.rpartition("/")[2], pattern)
        )

    def remove_unfinished(self, folder: str) -> None:
        """Nothing is ever half written."""

    def shown(self, name: str) -> str:
        return f"memory:{name}"
