"""A folder and everything below it, read once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from harness.data.not_data import (
    PICTURES_WANTED,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    TABLES,
    WantedFiles,
    own_folder,
)
from harness.data.sentences import counted, listed
from harness.errors import DataError

MOST_LINKED = 100_000
"""Folders reached by links, so that links across each other end."""


@dataclass(slots=True, eq=False)
class Folder:
    """One folder: what may be an image in it, and the folders inside; what is passed over is not there."""

    path: str
    name: str
    identity: tuple[int, int]
    """Device and inode."""
    parent: Folder | None
    files: list[tuple[str, os.stat_result]] = field(default_factory=list)
    """Names, sorted, and what the file system says."""
    folders: list[Folder] = field(default_factory=list)
    """Sorted by name."""
    tables: list[str] = field(default_factory=list)
    """Names of the lists (`.csv`, `.tsv`) directly inside."""
    images: int = 0
    """Possible images here and below."""
    passed_over: int = 0
    """Folders here and below that are no data."""

    def bearing(self) -> list[Folder]:
        """The folders directly inside that hold images, at whatever depth."""
        return [folder for folder in self.folders if folder.images]

    def below(self, root: Folder) -> str:
        """The path relative to `root`, with `/`."""
        return os.path.relpath(self.path, root.path).replace(os.sep, "/")


@dataclass(slots=True)
class Tree:
    """A folder that was read, and what was passed over on the way."""

    root: Folder
    wanted: WantedFiles = PICTURES_WANTED
    """The files that are looked for; below they are called images, whatever they are."""
    strange: list[str] = field(default_factory=list)
    """Paths of what is neither a file nor a folder: opening a pipe would wait for ever."""
    passed: dict[str, list[str]] = field(default_factory=dict)
    """Relative paths of folders that are no data, by what they are."""
    others: dict[str, list[str]] = field(default_factory=dict)
    """Relative paths of files that are not wanted but may matter, by suffix; lists left out."""
    ignored: int = 0
    """Files and folders that the user's patterns passed over."""
    unmatched: set[str] = field(default_factory=set)
    """Patterns that have matched nothing."""

    def sentences(self) -> list[str]:
        """What a person should know of the tree."""
        said = []
        if self.strange:
            said.append(
                f"{len(self.strange)} entries that are neither files nor folders (links to nowhere, pipes, "
                f"devices) were left out, for example {self.strange[0]}."
            )
        if self.passed:
            each = [f"{listed(sorted(paths))} ({what})" for what, paths in sorted(self.passed.items())]
            said.append(f"Passed over, for it is no data: {'; '.join(each)}.")
        if self.others:
            each = [_some_files(suffix, paths) for suffix, paths in sorted(self.others.items())]
            said.append(f"Not used, for these are no {self.wanted.noun}s: {'; '.join(each)}.")
        if self.ignored:
            said.append(
                f"dataset.ignore passed over {counted(self.ignored, 'file or folder', 'files and folders')}."
            )
        return said + say_unmatched(self.unmatched)


def say_unmatched(patterns: Collection[str]) -> list[str]:
    """A sentence about patterns that match nothing, if there are any."""
    names = listed(repr(one) for one in sorted(patterns))
    return [f"dataset.ignore: nothing matches {names}."] if patterns else []


class TooLargeError(Exception):
    """A tree has more entries than the caller wanted to look at."""


def read_tree(
    root: Path,
    ignore: Iterable[str] = (),
    most: int | None = None,
    wanted: WantedFiles = PICTURES_WANTED,
) -> Tree:
    """Everything below `root`; a linked folder is entered unless it holds the link.

    Args:
        root: a folder.
        ignore: patterns of names, or of paths relative to `root`, that are passed over.
        most: how many files may be looked at.
        wanted: which files are the data set's.

    Raises:
        DataError: a folder cannot be read.
        TooLargeError: there are more than `most`.
    """
    tree = Tree(Folder(str(root), root.name, _identity(root), None), wanted, unmatched=set(ignore))
    patterns = tuple(tree.unmatched)
    waiting, order, linked, seen = [tree.root], [], 0, 0
    while waiting:
        folder = waiting.pop()
        found = _entries(folder, tree, patterns)
        what = own_folder(folder.path, [entry.name for entry in found]) if folder is not tree.root else ""
        if what:
            _pass_over(folder, tree, what)
            continue
        order.append(folder)
        for entry in found:
            if inside := _take(entry, folder, tree):
                linked += entry.is_symlink()
                folder.folders.append(inside)
                waiting.append(inside)
        seen += len(found)
        if most is not None and seen > most:
            raise TooLargeError
        if linked > MOST_LINKED:
            raise DataError(
                f"More than {MOST_LINKED:,} folders below {root} are links. Give the real folders."
            )
    for folder in reversed(order):
        folder.images = len(folder.files) + sum(inside.images for inside in folder.folders)
        folder.passed_over += sum(inside.passed_over for inside in folder.folders)
    return tree


def images_below(folder: Folder) -> Iterator[tuple[Folder, str, os.stat_result]]:
    """Every possible image, in a stable order; a folder that is reached twice counts once."""
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        if current.identity in entered:
            continue
        entered.add(current.identity)
        for name, stat in current.files:
            yield current, name, stat
        waiting += current.folders


def _entries(folder: Folder, tree: Tree, patterns: tuple[str, ...]) -> list[os.DirEntry[str]]:
    """What is in the folder, sorted, without what is hidden or to be ignored."""
    try:
        with os.scandir(folder.path) as scan:
            found = sorted((entry for entry in scan if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"The folder {folder.path} cannot be read: {error.strerror}.") from error
    if not patterns:
        return found
    kept = []
    for entry in found:
        below = os.path.relpath(entry.path, tree.root.path).replace(os.sep, "/")
        found_by = [one for one in patterns if matches(below, one)]
        tree.unmatched.difference_update(found_by)
        tree.ignored += bool(found_by)
        if not found_by:
            kept.append(entry)
    return kept


def matches(path: str, pattern: str) -> bool:
    """Whether a path relative to the source, or its last part, matches a pattern such as `*_mask.png`."""
    pattern = pattern.removeprefix("./").rstrip("/")
    return fnmatchcase(path, pattern) or fnmatchcase(path.rpartition("/")[2], pattern)


def matching(path: str, patterns: Iterable[str]) -> set[str]:
    """The patterns that match a path or one of the folders it lies in."""
    parts = path.split("/")
    places = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return {one for one in patterns if any(matches(place, one) for place in places)}


def _take(entry: os.DirEntry[str], folder: Folder, tree: Tree) -> Folder | None:
    """Note a file in its folder; a folder that is to be entered is returned."""
    name = entry.name
    kind = _kind(entry)
    if kind == "folder":
        if name.casefold() in SYSTEM_FOLDERS:
            _note(tree.passed, "of the system or of tools", entry.path, tree)
            folder.passed_over += 1
            return None
        stat = _stat(entry)
        identity = (stat.st_dev, stat.st_ino) if stat else (0, 0)
        if stat is None or (entry.is_symlink() and _is_within(identity, folder)):
            return None
        return Folder(entry.path, name, identity, folder)
    if name.casefold() in SYSTEM_FILES:
        return None
    if tree.wanted.is_other(name):
        if kind == "file" and Path(name).suffix.lower() in TABLES:
            folder.tables.append(name)
        elif tree.wanted.may_matter(name):
            _note(tree.others, Path(name).suffix.lower(), entry.path, tree)
    elif kind == "file" and (found := _stat(entry)):
        folder.files.append((name, found))
    else:
        tree.strange.append(entry.path)
    return None


def _pass_over(folder: Folder, tree: Tree, what: str) -> None:
    assert folder.parent is not None
    folder.parent.folders.remove(folder)
    folder.parent.passed_over += 1
    _note(tree.passed, what, folder.path, tree)


def _note(groups: dict[str, list[str]], group: str, path: str, tree: Tree) -> None:
    groups.setdefault(group, []).append(os.path.relpath(path, tree.root.path).replace(os.sep, "/"))


def _is_within(identity: tuple[int, int], folder: Folder) -> bool:
    """Whether the folder is, or lies in, the one of that identity."""
    current: Folder | None = folder
    while current is not None and current.identity != identity:
        current = current.parent
    return current is not None


def _identity(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"The folder {path} cannot be read: {error.strerror}.") from error
    return stat.st_dev, stat.st_ino


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:  # it has just gone
        return None


def _kind(entry: os.DirEntry[str]) -> str:
    """`folder`, `file`, or nothing that can be read: a pipe, a device, a link to nowhere or to itself."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError:
        return ""


def _some_files(suffix: str, paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{len(paths):,} {suffix} files (for example {paths[0]})"
