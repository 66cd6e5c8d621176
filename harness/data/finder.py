"""Images by what a list calls them: with or without folders, with or without a suffix."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from harness.data.not_data import PICTURES_WANTED, WantedFiles
from harness.data.tree import Folder, TooLargeError, Tree, images_below, read_tree

MOST_FILES = 300_000
"""Files below a list's folder up to which paths that lead nowhere are looked for there."""
Found = tuple[str, os.stat_result]
"""Path and what the file system says."""


class Finder(Protocol):
    """Finds images by the names in a list."""

    def find(self, name: str) -> Found | None:
        """The image so called; None if there is none, or several."""


class InTree:
    """Finds images among those of a tree that was read."""

    def __init__(self, base: Folder) -> None:
        """`base`: the folder that paths are relative to."""
        self._base = base.path
        self._exact: dict[str, Found] = {}
        self._ends: dict[str, list[Found]] = {}
        for folder, name, stat in images_below(base):
            found = (f"{folder.path}/{name}", stat)
            self._exact[found[0][len(self._base) + 1 :]] = found
            for end in {name, name.rpartition(".")[0] or name}:
                self._ends.setdefault(end, []).append(found)

    def find(self, name: str) -> Found | None:
        """The image at the path, else the only one whose path has the same end, as much of it as there is."""
        name = name.removeprefix("./")
        if found := self._exact.get(name):
            return found
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        for start in range(len(parts)):
            if found := self._exact.get("/".join(parts[start:])):
                return found
        ends = self._ends.get(parts[-1], []) if parts else []
        return ends[0] if len(ends) == 1 else None


class OnDisk:
    """What the paths lead to; else what lies below the list's folder."""

    def __init__(self, file: Path, wanted: WantedFiles = PICTURES_WANTED) -> None:
        self._folder = "" if file.parent == Path() else str(file.parent)
        self._root = file.parent.resolve()
        self._wanted = wanted
        self._below: InTree | None = None
        self._looked = False

    def find(self, name: str) -> Found | None:
        """The image at the path, else the only one below the list's folder whose path has the same end."""
        path = os.path.join(self._folder, name)  # noqa: PTH118 # a Path takes longer than the file system
        try:
            stat = os.stat(path)  # noqa: PTH116
            if S_ISREG(stat.st_mode):
                return path, stat
        except (OSError, ValueError):
            pass
        below = self._tree()
        return below.find(name) if below else None

    def is_something_else(self, name: str) -> bool:
        """Whether the path leads to something that is no file."""
        try:
            return not S_ISREG(Path(self._folder, name).stat().st_mode)
        except (OSError, ValueError):
            return False

    def _tree(self) -> InTree | None:
        if not self._looked:
            self._looked = True
            try:
                tree: Tree = read_tree(self._root, most=MOST_FILES, wanted=self._wanted)
            except TooLargeError:
                return None
            self._below = InTree(tree.root)
        return self._below
