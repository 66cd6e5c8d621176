"""A folder of images as files with labels."""

from __future__ import annotations

from pathlib import Path

from harness.data.class_images import images_of_classes
from harness.data.labelled import Labelled, as_source
from harness.data.layout import unwrap
from harness.data.list_or_folders import reconcile
from harness.data.lists_beside import Lists, all_lists, find_lists
from harness.data.masks import set_masks_aside
from harness.data.not_data import CLIPS, CLIPS_WANTED, IMAGES, PICTURES_WANTED
from harness.data.prefix import images_by_prefix
from harness.data.sentences import counted, listed
from harness.data.source import ImageFiles
from harness.data.split_folders import find_classes
from harness.data.tree import Folder, Tree, read_tree
from harness.errors import ClipsFoundError, DataError
from harness.experiment.dataset_config import DatasetConfig


def scan_folder(root: Path, config: DatasetConfig) -> ImageFiles:
    """All images below `root` with their classes, and sentences about how they were taken.

    Class folders, or with `layout: prefix` flat folders; in either case with or without folders for train,
    validation and test; or whatever a list among the images says. What is hidden, of the system or clearly
    something else is passed over; every other file has to be an image. Where clips are wanted, every file
    without a clip's name is passed over.

    Raises:
        DataError: nothing usable is there, or it can be meant in two ways of which none is likelier.
    """
    if not root.exists():
        raise DataError(f"The folder {root} does not exist. Check the path given as the data set.")
    root = root.resolve()
    tree = read_tree(root, config.ignore or (), wanted=CLIPS_WANTED if config.frames else PICTURES_WANTED)
    _refuse_other_kind(tree, config)
    said = tree.sentences()
    if config.ignore is None:
        said += set_masks_aside(tree)
    if config.layout == "prefix":
        labelled, more = images_by_prefix(tree.root, config.named_splits())
        lists = _name_lists(tree.root)
    else:
        labelled, more, lists = _by_folders_or_list(tree.root, config)
    if not labelled:
        raise DataError(_no_classes(tree.root))
    return as_source(root.name, str(root), labelled, (*said, *more, *lists))


def _refuse_other_kind(tree: Tree, config: DatasetConfig) -> None:
    """Raise ClipsFoundError where images are looked for and there are clips, DataError where clips are and
    there are images."""
    if tree.root.images or tree.root.tables:
        return
    other = IMAGES if config.frames else CLIPS
    found = sorted(path for suffix, paths in tree.others.items() if suffix in other for path in paths)
    if found and config.frames:
        raise DataError(
            f"There are no clips ({', '.join(sorted(CLIPS))}) in {tree.root.path}, but "
            f"{counted(len(found), 'image')}, for example {found[0]}. Leave out dataset.frames, which is for "
            "clips."
        )
    if found:
        raise ClipsFoundError(
            f"There are no images in {tree.root.path}, but {counted(len(found), 'clip')}, for example "
            f"{found[0]}. To classify clips, say by how many frames of each: --set dataset.frames=8"
        )


def _by_folders_or_list(root: Folder, config: DatasetConfig) -> tuple[list[Labelled], list[str], list[str]]:
    """Images with labels, sentences about how they were taken, and sentences about lists."""
    top = unwrap(root, config.named_splits())
    found = find_lists(root, top, config) if config.layout == "auto" else Lists([], [])
    by_folders: tuple[list[Labelled], list[str]] | None = None
    try:
        layout = find_classes(top, config.named_splits())
        top = layout.top
        by_folders = images_of_classes(layout, root)
    except DataError as error:
        if not found.usable:
            raise DataError(" ".join([str(error), *found.said])) from error
    if by_folders is not None and not by_folders[0]:
        by_folders = None
    labelled, said = reconcile(found, by_folders, top, config) or by_folders or ([], [])
    return labelled, said, found.said if config.layout == "auto" else _name_lists(root)


def _name_lists(root: Folder) -> list[str]:
    names = [path.removeprefix(f"{root.path}/") for path in all_lists(root)]
    return (
        [f"Not used: {counted(len(names), 'list')}, for dataset.layout is given: {listed(names)}."]
        if names
        else []
    )


def _no_classes(root: Folder) -> str:
    flat = bool(root.files) or any(one.files for one in root.bearing())
    return f"There are no class folders with images in {root.path}." + (
        " The images lie flat in it: if their names begin with the class, as in cat_001.jpg, add `--set "
        "dataset.layout=prefix`; if a list names their classes, give that: --dataset list.csv; else make a "
        "folder for each class."
        if flat
        else " Make a folder for each class and put its images inside."
    )
