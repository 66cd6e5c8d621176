"""Splits inside class folders (`cat/train`), and classes and splits in one name (`cats_train`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.data.layout import NO_SPLITS, ClassFolder, Layout, Named, refuse_two_for_one, say_unused
from harness.data.sentences import counted, listed
from harness.data.source import POOLS, Pool
from harness.data.split_names import SplitName, split_names
from harness.data.tree import Folder
from harness.errors import DataError

NEARLY = 2 / 3
"""The share of classes with split folders inside, from which these are taken as splits."""


def split_in_every_class(layout: Layout, folders: Sequence[Folder]) -> Layout | None:
    """Splits inside each class: `cat/train`, `cat/test`; None where nearly no class has them."""
    names: Named = {}
    having: list[Folder] = []
    for folder in folders:
        found = split_names([one.name for one in folder.bearing()])
        for name, split in found.items():
            if split.pool and name not in names.setdefault(split.pool, []):
                names[split.pool].append(name)
        if any(split.pool for split in found.values()):
            having.append(folder)
    if "train" not in names or len(names) < 2 or len(having) < max(2, NEARLY * len(folders)):
        if having and len(folders) > 1:
            layout.said.append(_in_few_classes(layout, folders, having, names))
        return None
    if sum(len(one.bearing()) > 1 for folder in having for one in folder.bearing()) > len(having):
        raise DataError(
            f"Each of {listed(folder.name for folder in having)} in {layout.top.path} seems to be a data set "
            f"of its own, with splits and classes inside. Give one of them: --dataset {having[0].path}"
        )
    for folder in having:
        pools = {name: pool for pool in POOLS for name in names.get(pool, [])}
        refuse_two_for_one(folder, [(pools[one.name], one) for one in folder.bearing() if one.name in pools])
    return split_inside(layout, folders, names)


def _in_few_classes(layout: Layout, folders: Sequence[Folder], having: Sequence[Folder], names: Named) -> str:
    each = listed(
        f"{folder.below(layout.top)}/{one}" for folder in having for one in _of_splits(folder, names)
    )
    shown = ", ".join(f"{pool}: [{', '.join(names[pool])}]" for pool in POOLS if pool in names)
    return (
        f"Taken together with their classes, for only {len(having)} of {len(folders)} classes have folders "
        f"with names of splits or none is for training: {each}. If they are splits: --set "
        f"'dataset.splits={{{shown}}}'."
    )


def _of_splits(folder: Folder, names: Named) -> list[str]:
    return [one.name for one in folder.bearing() if any(one.name in known for known in names.values())]


def split_inside(layout: Layout, folders: Sequence[Folder], names: Named) -> Layout:
    """Each folder is a class, and the folders of these names inside are its splits."""
    pools: dict[str, Pool] = {name.casefold(): pool for pool in POOLS for name in names.get(pool, [])}
    unused: list[Folder] = []
    without: list[str] = []
    loose = 0
    for folder in folders:
        parts = [(pools.get(one.name.casefold()), one) for one in folder.bearing()]
        found = [ClassFolder(pool, folder.name, one) for pool, one in parts if pool]
        unused += [one for pool, one in parts if not pool] if found else []
        if not found:
            without.append(folder.name)
            found = [ClassFolder("train", folder.name, folder)]
        elif any(one.pool == "train" for one in found):
            loose += len(folder.files)
        elif folder.files:
            found.append(ClassFolder("train", folder.name, folder, deep=False))
        layout.classes += found
    example = next(one.folder for one in layout.classes if one.folder.parent is not layout.top)
    each = ", ".join(
        pool if names[pool] == [pool] else f"{' and '.join(names[pool])} is {pool}"
        for pool in POOLS
        if names.get(pool)
    )
    layout.said.append(
        f"Splits by the folders inside each class, as in {example.below(layout.top)}: {each}. To take all "
        f"images of a class together: {NO_SPLITS}."
    )
    if without:
        layout.said.append(
            f"{counted(len(without), 'class has', 'classes have')} no such folders ({listed(without)}): all "
            "images are taken for training."
        )
    if loose:
        layout.said.append(
            f"Not used: {counted(loose, 'image')} directly in a class folder, beside its splits."
        )
    say_unused(layout, unused, "beside the splits inside a class.")
    return layout


def class_and_split_in_name(
    layout: Layout, folders: Sequence[Folder], splits: dict[str, SplitName]
) -> Layout | None:
    """Class and split in one name: `cats_train`, `cats_test`, `dogs_train`, `dogs_test`; None where it is
    not so."""
    rests = {split.rest for split in splits.values()}
    counts = Counter((split.rest, split.pool) for split in splits.values())
    if len(rests) < 2 or () in rests or max(counts.values()) > 1:
        return None
    if any(folder.bearing() for folder in folders if folder.name in splits):
        return None
    for folder in folders:
        split = splits.get(folder.name)
        if split and split.pool:
            layout.classes.append(ClassFolder(split.pool, "_".join(split.rest), folder))
    shown = listed(f"{one.folder.name} is {one.pool} of {one.label}" for one in layout.classes)
    layout.said.append(
        f"Classes and splits by the names of folders: {shown}. To take each folder as a class: {NO_SPLITS}."
    )
    say_unused(
        layout, [f for f in folders if not (s := splits.get(f.name)) or not s.pool], "beside the splits."
    )
    return layout
