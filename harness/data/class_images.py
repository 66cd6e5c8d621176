"""The images of class folders."""

from __future__ import annotations

from collections import Counter

from harness.data.labelled import Labelled
from harness.data.layout import Layout
from harness.data.not_data import CLIPS, IMAGES, is_picture_folder
from harness.data.sentences import counted, listed
from harness.data.tree import Folder, images_below


def images_of_classes(layout: Layout, root: Folder) -> tuple[list[Labelled], list[str]]:
    """Every image of the class folders, and what should be said of it."""
    labelled: list[Labelled] = []
    inner: Counter[Folder] = Counter()
    for one in layout.classes:
        every = images_below(one.folder) if one.deep else ((one.folder, *file) for file in one.folder.files)
        for folder, name, stat in every:
            labelled.append(Labelled(f"{folder.path}/{name}", stat, one.label, one.pool))
            if folder is not one.folder and not is_picture_folder(folder.name):
                inner[folder] += 1
    said = list(layout.said)
    if inner:
        names = listed(sorted(folder.below(layout.top) for folder in inner))
        said.append(
            f"{counted(sum(inner.values()), 'image')} in folders inside the class folders count for the "
            f"class: {names}. If those are the classes, give a list with the columns path and label."
        )
    empty = [folder.below(root) for folder in layout.empty if not folder.passed_over]
    if empty:
        is_left = "is empty and was" if len(empty) == 1 else "are empty and were"
        said.append(f"The class folder{'s' * (len(empty) > 1)} {listed(empty)} {is_left} left out.")
    said += unused_beside(layout.top, root, "the class folders")
    return labelled, said


def unused_beside(top: Folder, root: Folder, what: str) -> list[str]:
    """Names the images that lie directly in the top folder, or in one around it."""
    loose: list[str] = []
    known = IMAGES | CLIPS  # of which only those that are wanted are in a folder's files
    current: Folder | None = top
    while current is not None:
        names = [name for name, _ in current.files if f".{name.rpartition('.')[2].lower()}" in known]
        loose += [f"{current.below(root)}/{name}".removeprefix("./") for name in names]
        current = current.parent
    return [f"Not used: {counted(len(loose), 'image')} beside {what}: {listed(loose)}."] if loose else []
