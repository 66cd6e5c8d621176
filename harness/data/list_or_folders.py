"""What lists among the images and the folders say together: which of them is taken for the classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.data.labelled import Labelled
from harness.data.listing import Listing, read_listing
from harness.data.lists_beside import ImageList, Lists
from harness.data.sentences import counted, listed
from harness.data.split_names import NEUTRAL, words
from harness.data.tree import Folder, images_below
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

ENOUGH = 0.5
"""The share of the images that a list has to name."""
_PARTS = NEUTRAL | frozenset(
    ["batch", "part", "chunk", "shard", "block", "section", "page", "archive", "raw", "all"]
)
"""Words of folders that hold a part of the images, whatever they show."""
BY_FOLDERS = "--set dataset.layout=class_folders"


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
    enough = len(listing.labelled) >= ENOUGH * total
    if are_parts or (enough and _are_numbered(labels) and not _agree(listing, folder_of)):
        return _by_list(listing, name, top, total)
    why = _why_not(listing, name, folder_of, lists.usable[0], total)
    return (labelled, [*said, why]) if why else _by_list(listing, name, top, total)


def _agree(listing: Listing, folder_of: dict[str, Labelled]) -> bool:
    """Whether each class of the list is one folder, and each folder one class."""
    pairs = {(folder_of[one.path].label, one.label) for one in listing.labelled if one.path in folder_of}
    return len(pairs) == len({label for label, _ in pairs}) == len({label for _, label in pairs})


def _why_not(
    listing: Listing, name: str, folder_of: dict[str, Labelled], first: ImageList, total: int
) -> str:
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
        raise DataError(_contradiction(first, name, folder_of, listing))
    same = all(folder_of[one.path].pool == one.pool for one in listing.labelled if one.path in folder_of)
    if not listing.has_splits or same:
        return f"{name} says the same as the folders; the folders were taken."
    if len({one.pool for one in folder_of.values()}) > 1:
        raise DataError(
            f"{name} and the folders say other splits. Choose the list: --dataset {first.table.file} or the "
            f"folders: {BY_FOLDERS}"
        )
    return ""


def _read(usable: Sequence[ImageList], top: Folder, config: DatasetConfig) -> tuple[Listing, str]:
    """The lists as one, and what it is called; raises DataError if it is not clear which of several is
    meant."""
    if len(usable) == 1:
        (one,) = usable
        if one.columns.split is None and one.pool in ("validation", "test"):
            raise DataError(
                f"{one.below(top)} has the name of the {one.pool} split, and there is no list of images to "
                f"train on. If it is the whole list: --dataset {one.table.file}"
            )
        return read_listing(one.table, one.columns, one.finder, config), one.below(top)
    name = " and ".join(one.below(top) for one in usable)
    pools = [one.pool for one in usable if one.columns.split is None]
    if len(set(pools)) < len(usable) or None in pools or "train" not in pools:
        names = listed((one.below(top) for one in usable), 5)
        raise DataError(
            f"There are several lists of images in {top.path}: {names}. Give the one you mean: --dataset "
            f"{usable[0].table.file}"
        )
    whole = Listing(has_splits=True)
    for one in usable:
        part = read_listing(one.table, one.columns, one.finder, config, one.pool)
        whole.labelled += part.labelled
        whole.said += [sentence for sentence in part.said if sentence not in whole.said]
    each = ", ".join(f"{one.below(top)} is {one.pool}" for one in usable)
    whole.said.append(f"Splits by the names of lists: {each}.")
    return whole, name


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


def _contradiction(one: ImageList, name: str, folder_of: dict[str, Labelled], listing: Listing) -> str:
    theirs: dict[str, str] = {}
    example = listing.labelled[0]
    for found in listing.labelled:
        if found.path in folder_of:
            known = theirs.setdefault(found.label, folder_of[found.path].label)
            if known != folder_of[found.path].label:
                example = found
    return (
        f"{name} and the folders say different classes: {Path(example.path).name} is {example.label!r} in "
        f"the list ({counted(len({found.label for found in listing.labelled}), 'class', 'classes')}), but "
        f"lies in the folder {folder_of[example.path].label!r} "
        f"({counted(len({f.label for f in folder_of.values()}), 'class', 'classes')}). Choose the list: "
        f"--dataset {one.table.file} or the folders: {BY_FOLDERS}"
    )
