"""Lists that lie among the images of a folder: used where the folders say nothing, and never passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.columns import Columns, NoPathsError
from harness.data.finder import InTree
from harness.data.labelled import Labelled
from harness.data.listing import Listing, columns_of, read_listing
from harness.data.sentences import counted, listed
from harness.data.sources import Pool
from harness.data.split_names import NEUTRAL, plain_split, words
from harness.data.table import Table, read_table
from harness.data.tree import Folder, images_below
from harness.errors import DataError
from harness.experiment.schema import DatasetConfig

MOST_LISTS = 20
LOOKED_AT = 200
"""Rows that are read to see whether a list is one of images."""
ENOUGH = 0.5
"""The share of the images that a list has to name."""
_PARTS = NEUTRAL | frozenset(
    ["batch", "part", "chunk", "shard", "block", "section", "page", "archive", "raw", "all"]
)
"""Words of folders that hold a part of the images, whatever they show."""
BY_FOLDERS = "--set dataset.layout=class_folders"


@dataclass(frozen=True, slots=True)
class _List:
    """A list whose paths lead to images."""

    table: Table
    columns: Columns
    finder: InTree
    pool: Pool | None
    """The split, where the list or its folder has the name of one."""

    @property
    def name(self) -> str:
        return self.table.file.name


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists among the images."""

    usable: list[_List]
    """Their paths lead to images, and they have labels."""
    said: list[str]
    """Why others are not used."""


def find_lists(root: Folder, top: Folder, config: DatasetConfig) -> Lists:
    """The lists in the folders down to the one with the class folders, and in those directly inside."""
    folders = [top, *top.folders]
    while folders[0] is not root and folders[0].parent is not None:
        folders.insert(0, folders[0].parent)
    usable: list[_List] = []
    said: list[str] = []
    finder: InTree | None = None
    files = [(folder, name) for folder in folders for name in folder.tables]
    for folder, name in files[:MOST_LISTS]:
        finder = finder or InTree(root)
        below = f"{folder.below(root)}/{name}".removeprefix("./")
        why, found = _look(Path(folder.path, name), InTree(folder) if folder is not root else finder, config)
        if found is None and folder is not root:
            why, found = _look(Path(folder.path, name), finder, config)
        if found is None:
            said.append(f"{below} ({why})")
        else:
            usable.append(found)
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


def _look(file: Path, finder: InTree, config: DatasetConfig) -> tuple[str, _List | None]:
    """A list of images, or why it is none."""
    if {"sample", "submission"} & set(words(file.stem)):
        return "an example of what is to be handed in", None
    try:
        head = read_table(file, LOOKED_AT)
        columns = columns_of(head, finder, config)
        values = [fields[columns.path] for _, fields in head.rows if fields[columns.path]]
        if 2 * sum(finder.find(value) is not None for value in values) < max(1, len(values)):
            return "its paths lead to no images here", None
        if not columns.labelled:
            return "it has no labels", None
        table = read_table(file)
        pool = plain_split(file.stem) or plain_split(file.parent.name)
        return "", _List(table, columns_of(table, finder, config), finder, pool.pool if pool else None)
    except NoPathsError:
        return "no column of it leads to images here", None
    except DataError as error:
        return str(error).removeprefix(f"{file}:").removeprefix("The manifest ").strip().rstrip("."), None


def reconcile(
    lists: Lists, by_folders: tuple[list[Labelled], list[str]] | None, top: Folder, config: DatasetConfig
) -> tuple[list[Labelled], list[str]] | None:
    """What lists and folders say together; None if there are no lists to be used.

    Args:
        lists: the lists among the images.
        by_folders: what the folders say, and the sentences about it; None if they say no classes.
        top: where the class folders lie.
        config: what the user says.

    Raises:
        DataError: lists contradict each other or the folders.
    """
    if not lists.usable:
        return None
    total = sum(1 for _ in images_below(top))
    if by_folders is None or len({one.label for one in by_folders[0]}) < 2:
        listing, name = _read(lists.usable, top, config)
        return _by_list(listing, name, top, total)
    labelled, said = by_folders
    labels = {one.label for one in labelled}
    are_parts = _are_parts(labels)
    try:
        listing, name = _read(lists.usable, top, config)
    except DataError as error:
        if are_parts:
            raise
        return labelled, [*said, f"The folders were taken, and no list: {error}"]
    folder_of = {one.path: one for one in labelled}
    if are_parts or (_are_numbered(labels) and not _agree(listing, folder_of)):
        return _by_list(listing, name, top, total)
    why = _why_not(listing, name, folder_of, lists.usable[0], total)
    return (labelled, [*said, why]) if why else _by_list(listing, name, top, total)


def _agree(listing: Listing, folder_of: dict[str, Labelled]) -> bool:
    """Whether each class of the list is one folder, and each folder one class."""
    pairs = {(folder_of[one.path].label, one.label) for one in listing.labelled if one.path in folder_of}
    return len(pairs) == len({label for label, _ in pairs}) == len({label for _, label in pairs})


def _why_not(listing: Listing, name: str, folder_of: dict[str, Labelled], first: _List, total: int) -> str:
    """Why the folders are taken, and not the list; empty if it is to be the list.

    Raises:
        DataError: they contradict each other.
    """
    if len(listing.labelled) < ENOUGH * total:
        return (
            f"Not used: {name}, which lists only {len(listing.labelled):,} of the {total:,} images. To train "
            f"on those alone: --dataset {first.table.file}"
        )
    if not _agree(listing, folder_of):
        raise DataError(_contradiction(first, folder_of, listing))
    same = all(folder_of[one.path].pool == one.pool for one in listing.labelled if one.path in folder_of)
    if not listing.has_splits or same:
        return f"{name} says the same as the folders; the folders were taken."
    if len({one.pool for one in folder_of.values()}) > 1:
        raise DataError(
            f"{name} and the folders say other splits. Choose the list: --dataset {first.table.file} or the "
            f"folders: {BY_FOLDERS}"
        )
    return ""


def _read(usable: Sequence[_List], top: Folder, config: DatasetConfig) -> tuple[Listing, str]:
    """The lists as one, and what it is called; raises DataError if it is not clear which of several is
    meant."""
    if len(usable) == 1:
        (one,) = usable
        return read_listing(one.table, one.columns, one.finder, config), one.name
    name = " and ".join(_below(one, top) for one in usable)
    pools = [one.pool for one in usable if one.columns.split is None]
    if len(set(pools)) < len(usable) or None in pools or "train" not in pools:
        names = listed((_below(one, top) for one in usable), 5)
        raise DataError(
            f"There are several lists of images in {top.path}: {names}. Give the one you mean: --dataset "
            f"{usable[0].table.file}"
        )
    whole = Listing(has_splits=True)
    for one in usable:
        part = read_listing(one.table, one.columns, one.finder, config, one.pool)
        whole.labelled += part.labelled
        whole.said += [sentence for sentence in part.said if sentence not in whole.said]
    each = ", ".join(f"{_below(one, top)} is {one.pool}" for one in usable)
    whole.said.append(f"Splits by the names of lists: {each}.")
    return whole, name


def _below(one: _List, top: Folder) -> str:
    return str(one.table.file).removeprefix(f"{top.path}/")


def _by_list(listing: Listing, name: str, top: Folder, total: int) -> tuple[list[Labelled], list[str]]:
    said = [f"The classes are taken from {name}, not from the folders. For those: {BY_FOLDERS}."]
    known = {one.path for one in listing.labelled}
    left = [
        f"{folder.below(top)}/{image}".removeprefix("./")
        for folder, image, _ in images_below(top)
        if f"{folder.path}/{image}" not in known
    ]
    if left:
        said.append(
            f"Not used: {len(left):,} of {total:,} images, which {name} does not list: {listed(left)}."
        )
    return listing.labelled, [*said, *listing.said]


def _are_parts(labels: set[str]) -> bool:
    """Whether names of folders say nothing of what the images show: images_part_1, batch_b."""
    each_has = (any(word in _PARTS for word in words(label)) for label in labels)
    return all(each_has) and all(
        word in _PARTS or word.isdecimal() or len(word) == 1 for label in labels for word in words(label)
    )


def _are_numbered(labels: set[str]) -> bool:
    """Whether names of folders differ in numbers only: HAM10000_images_part_1, HAM10000_images_part_2."""
    bare = {tuple(word for word in words(label) if not word.isdecimal()) for label in labels}
    return len(bare) == 1 and bare != {()}


def _contradiction(one: _List, folder_of: dict[str, Labelled], listing: Listing) -> str:
    theirs: dict[str, str] = {}
    example = listing.labelled[0]
    for found in listing.labelled:
        if found.path in folder_of:
            known = theirs.setdefault(found.label, folder_of[found.path].label)
            if known != folder_of[found.path].label:
                example = found
    name = Path(example.path).name
    return (
        f"{one.name} and the folders say different classes: {name} is {example.label!r} in the list "
        f"({counted(len({found.label for found in listing.labelled}), 'class', 'classes')}), but lies in the "
        f"folder {folder_of[example.path].label!r} "
        f"({counted(len({f.label for f in folder_of.values()}), 'class', 'classes')}). Choose the list: "
        f"--dataset {one.table.file} or the folders: {BY_FOLDERS}"
    )
