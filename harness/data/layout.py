"""How a tree of folders is taken: which of them are splits, which are classes, and what should be said of
it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.data.sentences import counted, listed
from harness.data.source import POOLS, Pool
from harness.data.split_names import CANONICAL, NEUTRAL, plain_split, split_name, words
from harness.data.tree import Folder
from harness.errors import DataError

Named = dict[str, list[str]]
"""`dataset.splits`: names by pool; {} says that there are no splits."""
NO_SPLITS = "--set 'dataset.splits={}'"


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder with images of one class in one split."""

    pool: Pool
    label: str
    folder: Folder
    deep: bool = True
    """Whether images in folders further down count; else only those directly inside."""


@dataclass(slots=True)
class Layout:
    """How a tree is taken."""

    top: Folder
    """Where class folders or split folders lie."""
    classes: list[ClassFolder] = field(default_factory=list)
    parts: list[tuple[Pool, Folder]] = field(default_factory=list)
    """The folders of the splits, if there are any."""
    empty: list[Folder] = field(default_factory=list)
    """Folders without images where classes are looked for."""
    said: list[str] = field(default_factory=list)


def unwrap(root: Folder, named: Named | None) -> Folder:
    """The folder that matters below wrapping ones, as archives have them."""
    wanted = {name.casefold() for names in (named or {}).values() for name in names}
    top = root
    while len(inside := top.bearing()) == 1 and inside[0].bearing():
        (only,) = inside
        split = plain_split(only.name)
        if only.name.casefold() in wanted or (split and split.pool and named is None):
            break
        top = only
    return top


def innermost(folder: Folder, known: set[str]) -> Folder:
    """The folder inside that holds a split's classes: `seg_train/seg_train`, `train/images`.

    Args:
        folder: a split's.
        known: lower-case names of classes, which wrap nothing.
    """
    while not folder.files and len(inside := folder.bearing()) == 1:
        (only,) = inside
        wraps = (
            words(only.name) == words(folder.name)
            or set(words(only.name)) <= NEUTRAL
            or split_name(only.name) == split_name(folder.name) is not None
            or (bool(only.bearing()) and not only.files)
        )
        if not wraps or only.name.casefold() in known:
            break
        folder = only
    return folder


def is_labelled(folder: Folder, known: set[str]) -> bool:
    """Whether there are class folders in a split's folder."""
    return bool(innermost(folder, known).bearing())


def plain_classes(layout: Layout, folders: Sequence[Folder]) -> Layout:
    """Each of the folders is a class to train on."""
    layout.classes = [ClassFolder("train", folder.name, folder) for folder in folders]
    layout.empty = [folder for folder in layout.top.folders if not folder.images]
    return layout


def classes_of_parts(layout: Layout) -> Layout:
    """The class folders inside the splits' folders."""
    for pool, folder in layout.parts:
        layout.classes += [ClassFolder(pool, one.name, one) for one in folder.bearing()]
        layout.empty += [one for one in folder.folders if not one.images]
        if not folder.bearing():
            raise DataError(
                f"There are no class folders in {folder.path}, which is said to be the {pool} split."
            )
        if folder.files:
            layout.said.append(
                f"Not used: {counted(len(folder.files), 'image')} directly in {folder.below(layout.top)}, "
                "beside its class folders."
            )
    return layout


def refuse_two_for_one(top: Folder, parts: Sequence[tuple[Pool, Folder]]) -> None:
    """Raise DataError if two folders seem to be the same split."""
    for pool in POOLS:
        same = [folder.name for one, folder in parts if one == pool]
        if len(same) > 1:
            kept = ", ".join(f"{one}: [{folder.name}]" for one, folder in parts if one != pool)
            raise DataError(
                f"The folders {' and '.join(same)} of {top.path} both seem to be the {pool} split. Name the "
                "one that is, or both to take them together: --set "
                f"'dataset.splits={{{kept}{', ' if kept else ''}{pool}: [{', '.join(same)}]}}'."
            )


def say_parts(layout: Layout) -> None:
    """Say which folder is which split, unless the names can be meant in one way only."""
    in_order = sorted(layout.parts, key=lambda part: POOLS.index(part[0]))
    below = [(pool, folder.below(layout.top)) for pool, folder in in_order]
    if any(path.casefold() not in CANONICAL for _, path in below):
        each = ", ".join(path if path.casefold() == pool else f"{path} is {pool}" for pool, path in below)
        layout.said.append(f"Splits by the names of folders: {each}. {otherwise(layout.parts)}")


def say_unused(layout: Layout, folders: Sequence[Folder], why: str) -> None:
    """Say which folders with images are not used."""
    if folders:
        names = listed(f"{f.below(layout.top)} ({counted(f.images, 'image')})" for f in folders)
        layout.said.append(f"Not used: {names}, {why}")


def otherwise(parts: Iterable[tuple[Pool, Folder]]) -> str:
    """How the user says which folder is which split."""
    by_pool: Named = {}
    for pool, folder in parts:
        by_pool.setdefault(pool, []).append(folder.name)
    shown = ", ".join(f"{pool}: [{', '.join(by_pool[pool])}]" for pool in POOLS if pool in by_pool)
    return f"To say otherwise, name the folders: --set 'dataset.splits={{{shown}}}'."
