"""What is to be classified: files, folders, patterns, and paths that come by standard input."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.not_data import PICTURES_WANTED, WantedFiles
from harness.data.sentences import as_text
from harness.data.tree import images_below, read_tree
from harness.errors import DataError

STANDARD_INPUT = "-"
VIDEOS = frozenset([".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv"])
"""Suffixes by which files in folders are taken for videos; what they are, their content says."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file to classify."""

    path: Path
    label: str | None = None
    """The class whose folder it lies in; None if it lies in none."""
    error: str = ""
    """Why there is nothing to classify, in a sentence."""

    @property
    def name(self) -> str:
        """The path as text that can be written as UTF-8, whatever bytes are in it."""
        return as_text(str(self.path))


def inputs_of(
    given: Sequence[str],
    lines: Iterable[str],
    classes: Collection[str],
    tell: Callable[[str], object] = lambda _: None,
    *,
    wanted: WantedFiles = PICTURES_WANTED,
    videos: bool = True,
) -> Iterator[Input]:
    """Every file that is meant, in the order given, those of a folder sorted by their paths.

    Args:
        given: paths, patterns such as `photos/*.jpg`, or `-` for the paths in `lines`.
        lines: paths, one a line; read as they come.
        classes: names that make a folder within a given one say the class of what lies in it.
        tell: told what was passed over in folders, in sentences.
        wanted: which files in folders are meant.
        videos: whether videos in folders are meant, too, where pictures are.
    """
    look = _Look(frozenset(classes), wanted, VIDEOS if videos else frozenset(), tell)
    for text in given:
        if text == STANDARD_INPUT:
            for line in lines:
                if path := line.rstrip("\r\n"):
                    yield from _at(Path(path), look)
        elif _is_there(Path(text)) or not glob.has_magic(text):
            yield from _at(Path(text), look)
        else:
            found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 # a pattern may be absolute
            if not found:
                yield Input(Path(text), error="No file matches this pattern.")
            for path in found:
                yield from _at(Path(path), look)


@dataclass(frozen=True, slots=True)
class _Look:
    """How folders are looked at; see `inputs_of`."""

    classes: frozenset[str]
    wanted: WantedFiles
    videos: frozenset[str]
    tell: Callable[[str], object]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a null byte
        return False


def _at(path: Path, look: _Look) -> Iterator[Input]:
    if not _is_there(path):
        yield Input(path, error="There is no such file or folder.")
    elif path.is_dir():
        yield from _in_folder(path, look)
    elif path.is_file():
        yield Input(path)
    else:
        yield Input(path, error="It is neither a file nor a folder.")


def _in_folder(root: Path, look: _Look) -> Iterator[Input]:
    try:
        tree = read_tree(root, wanted=look.wanted)
    except DataError as error:
        yield Input(root, error=str(error))
        return
    found = [Path(folder.path, name) for folder, name, _ in images_below(tree.root)]
    for suffix in look.videos & tree.others.keys():
        found += [root / name for name in tree.others.pop(suffix)]
    for sentence in tree.sentences():
        look.tell(f"{root}: {sentence}")
    if not found:
        yield Input(root, error=f"There are no {look.wanted.noun}s in this folder.")
    for path in sorted(found):
        above = path.relative_to(root).parts[:-1]
        yield Input(path, next((name for name in above if name in look.classes), None))
