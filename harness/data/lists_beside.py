"""Lists that lie among the images of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.columns import Columns, NoPathsError
from harness.data.finder import InTree
from harness.data.listing import columns_of
from harness.data.sentences import counted, listed
from harness.data.source import Pool
from harness.data.split_names import plain_split, words
from harness.data.table import Table, read_table
from harness.data.tree import Folder
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

MOST_LISTS = 20
LARGEST = 256 << 20
"""Bytes of a list that is looked at without having been asked for."""
LOOKED_AT = 200
"""Rows that are read to see whether a list is one of images."""


@dataclass(frozen=True, slots=True)
class ImageList:
    """A list whose paths lead to images."""

    table: Table
    columns: Columns
    finder: InTree
    pool: Pool | None
    """The split, where the list or its folder has the name of one."""

    def below(self, top: Folder) -> str:
        """The list's path relative to a folder."""
        return str(self.table.file).removeprefix(f"{top.path}/")


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists among the images."""

    usable: list[ImageList]
    """Their paths lead to images, and they have labels."""
    said: list[str]
    """Sentences about the lists that are not used."""


def find_lists(root: Folder, top: Folder, config: DatasetConfig) -> Lists:
    """The lists in the folders down to the one with the class folders, and in those directly inside."""
    folders = [top, *top.folders]
    while folders[0] is not root and folders[0].parent is not None:
        folders.insert(0, folders[0].parent)
    usable: list[ImageList] = []
    said: list[str] = []
    files = [(folder, name) for folder in folders for name in folder.tables]
    whole = InTree(root) if files else None
    for folder, name in files[:MOST_LISTS]:
        assert whole is not None
        try:
            near = [InTree(folder)] if folder is not root else []
            usable.append(_look(Path(folder.path, name), [*near, whole], config))
        except _NoListError as error:
            said.append(f"{folder.below(root)}/{name} ({error})".removeprefix("./"))
    looked_at = {f"{folder.path}/{name}" for folder, name in files[:MOST_LISTS]}
    others = [path for path in all_lists(root) if path not in looked_at]
    if others:
        said.append(f"{counted(len(others), 'more list')}, such as {others[0].removeprefix(f'{root.path}/')}")
    return Lists(usable, [f"Not used: {listed(said, 5)}."] if said else [])


def all_lists(root: Folder) -> list[str]:
    """The paths of all lists below a folder."""
    found: list[str] = []
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        found += [f"{folder.path}/{name}" for name in folder.tables]
        waiting += folder.folders
    return found


class _NoListError(Exception):
    """A file is no list of the images here; the message says why."""


def _look(file: Path, finders: Sequence[InTree], config: DatasetConfig) -> ImageList:
    """A list whose paths lead to images by one of the finders; raises _NoListError if it is none."""
    if {"sample", "submission"} & set(words(file.stem)):
        raise _NoListError("an example of what is to be handed in")
    try:
        if file.stat().st_size > LARGEST:
            raise _NoListError(f"it has more than {LARGEST >> 20} MiB")
        head = read_table(file, LOOKED_AT)
        finder = next((one for one in finders if _leads_to_images(head, one, config)), None)
        if finder is None:
            raise _NoListError("no column of it leads to images here")
        if not columns_of(head, finder, config).labelled:
            raise _NoListError("it has no labels")
        table = read_table(file)
        columns = columns_of(table, finder, config)
    except (DataError, OSError) as error:
        why = str(error).removeprefix(f"{file}:").removeprefix("The manifest ").strip().rstrip(".")
        raise _NoListError(why) from error
    split = plain_split(file.stem) or plain_split(file.parent.name)
    return ImageList(table, columns, finder, split.pool if split else None)


def _leads_to_images(head: Table, finder: InTree, config: DatasetConfig) -> bool:
    try:
        column = columns_of(head, finder, config).path
    except NoPathsError:
        return False
    values = [fields[column] for _, fields in head.rows if fields[column]]
    return 2 * sum(finder.find(value) is not None for value in values) >= max(1, len(values))
