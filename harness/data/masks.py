"""Masks, annotations and thumbnails beside pictures: set aside before anything is taken for an image."""

from __future__ import annotations

from harness.data.not_data import is_mask_folder, is_picture_folder, masked_stem
from harness.data.sentences import counted, listed
from harness.data.tree import Folder, Tree

OTHERWISE = "To take them too: --set 'dataset.ignore=[]'."


def set_masks_aside(tree: Tree) -> list[str]:
    """Take folders and files that lie beside pictures without being any out of the tree; says which.

    `masks` beside `images`, `thumbs` among about as many images, `a_mask.png` beside `a.png`.
    """
    folders: list[Folder] = []
    files: list[str] = []
    waiting = [tree.root]
    while waiting:
        folder = waiting.pop()
        aside = [one for one in folder.bearing() if is_mask_folder(one.name) and _has_pictures(folder, one)]
        names = _mask_files(folder)
        if aside or names:
            folders += aside
            files += [f"{folder.below(tree.root)}/{name}" for name in sorted(names)]
            folder.folders = [one for one in folder.folders if one not in aside]
            folder.files = [(name, stat) for name, stat in folder.files if name not in names]
            _subtract(folder, len(names) + sum(one.images for one in aside))
        waiting += folder.folders
    said = []
    if folders:
        names_of = listed(sorted(folder.below(tree.root) for folder in folders))
        number = counted(sum(folder.images for folder in folders), "file")
        said.append(f"Not used: {number} in {names_of}, beside the pictures. {OTHERWISE}")
    if files:
        shown = listed(sorted(name.removeprefix("./") for name in files))
        said.append(
            f"Not used: {counted(len(files), 'mask')} of pictures of the same name: {shown}. {OTHERWISE}"
        )
    return said


def _has_pictures(folder: Folder, masks: Folder) -> bool:
    """Whether the pictures to the masks are in the folder, or in one that says so."""
    return (
        any(is_picture_folder(one.name) for one in folder.bearing()) or 2 * len(folder.files) >= masks.images
    )


def _mask_files(folder: Folder) -> set[str]:
    stems = {name.rpartition(".")[0] or name for name, _ in folder.files}
    return {
        name
        for name, _ in folder.files
        if (of := masked_stem(name.rpartition(".")[0] or name)) is not None and of in stems
    }


def _subtract(folder: Folder, number: int) -> None:
    current: Folder | None = folder
    while current is not None:
        current.images -= number
        current = current.parent
