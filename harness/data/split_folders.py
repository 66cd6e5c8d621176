"""Folders that are splits by their names; every guess is said, with how to say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.data.layout import (
    NO_SPLITS,
    Layout,
    Named,
    classes_of_parts,
    innermost,
    is_labelled,
    otherwise,
    plain_classes,
    refuse_two_for_one,
    say_parts,
    say_unused,
)
from harness.data.sentences import listed
from harness.data.source import POOLS, Pool
from harness.data.split_in_class import class_and_split_in_name, split_in_every_class, split_inside
from harness.data.split_names import SplitName, plain_split, split_names, words
from harness.data.tree import Folder
from harness.errors import DataError

_NO_LABELS = "for there are no class folders inside, so that nothing says what these images show."
_UNLABELLED = (
    f"for there are no class folders inside. If it is a class: {NO_SPLITS}; if it is no part of the data, "
    "dataset.ignore passes it over."
)
_BESIDE = "beside the splits."


def find_classes(top: Folder, named: Named | None) -> Layout:
    """The class folders of a tree, by split.

    Args:
        top: the folder that matters, as `harness.data.layout.unwrap` finds it.
        named: the folders that are splits as the user says it; {} if none is; None to go by their names.

    Raises:
        DataError: it can be meant in two ways of which none is likelier, or nothing usable is there.
    """
    layout = Layout(top)
    folders = layout.top.bearing()
    if named is not None:
        return _as_named(layout, folders, named)
    splits = split_names([folder.name for folder in folders])
    if not splits:
        return split_in_every_class(layout, folders) or plain_classes(layout, folders)
    layout_by_names = class_and_split_in_name(layout, folders, splits)
    if layout_by_names:
        return layout_by_names
    beside = _Beside(
        [(splits[folder.name], folder) for folder in folders if folder.name in splits],
        [folder for folder in folders if folder.name not in splits],
    )
    if any(split.pool == "train" and is_labelled(folder, set()) for split, folder in beside.splits):
        return _with_training_folder(layout, beside)
    return _without_training_folder(layout, beside)


@dataclass(frozen=True, slots=True)
class _Beside:
    """Folders beside each other: those with names of splits, and the others."""

    splits: list[tuple[SplitName, Folder]]
    others: list[Folder]


def _with_training_folder(layout: Layout, beside: _Beside) -> Layout:
    """There is a folder for training with class folders inside."""
    known = {
        one.name.casefold()
        for split, folder in beside.splits
        if split.pool == "train"
        for one in innermost(folder, set()).bearing()
    }
    labelled = [
        (split.pool, folder) for split, folder in beside.splits if split.pool and is_labelled(folder, known)
    ]
    unlabelled = [folder for _, folder in beside.splits if folder not in [one for _, one in labelled]]
    refuse_two_for_one(layout.top, labelled)
    if len(beside.splits) == 1:
        _refuse_class_called_train(layout, labelled[0][1], known, beside.others)
    layout.parts = [(pool, innermost(folder, known)) for pool, folder in labelled]
    say_parts(layout)
    say_unused(layout, unlabelled, _NO_LABELS)
    say_unused(layout, beside.others, f"{_BESIDE} {otherwise(layout.parts)}")
    _say_empty_splits(layout)
    return classes_of_parts(layout)


def _refuse_class_called_train(
    layout: Layout, train: Folder, known: set[str], others: Sequence[Folder]
) -> None:
    """A lone folder `train` beside several others may be a class: bus, car, train."""
    mirrored = any(folder.name.casefold() in known for folder in others)
    if not others or mirrored or (len(others) == 1 and not others[0].bearing()):
        return
    raise DataError(
        f"The folder {train.name} of {layout.top.path} may be the training split, or a class like "
        f"{listed(folder.name for folder in others)} beside it. If it is the split: --set "
        f"'dataset.splits={{train: [{train.name}]}}'; if it is a class: {NO_SPLITS}."
    )


def _without_training_folder(layout: Layout, beside: _Beside) -> Layout:
    """No folder called `train` has class folders inside: what is no split is for training."""
    if not beside.others:
        raise DataError(_nothing_to_train_on(layout, beside))
    base = _base(beside.others)
    known = {folder.name.casefold() for folder in (base.bearing() if base else beside.others)}
    parts: list[tuple[Pool, Folder]] = []
    classes: list[Folder] = []
    unlabelled: list[Folder] = []
    for split, folder in beside.splits:
        inside = innermost(folder, known).bearing()
        if split.pool in ("validation", "test") and any(one.name.casefold() in known for one in inside):
            parts.append((split.pool, folder))
        elif _is_likelier_a_class(folder, beside.others):
            classes.append(folder)
        elif inside:
            raise DataError(_other_classes(layout, folder, inside, beside.others))
        else:
            unlabelled.append(folder)
    refuse_two_for_one(layout.top, parts)
    layout.parts = [(pool, innermost(folder, known)) for pool, folder in parts]
    if base and parts:
        layout.parts.insert(0, ("train", base))
        say_parts(layout)
        say_unused(layout, [*classes, *unlabelled], _NO_LABELS)
        return classes_of_parts(layout)
    if len(beside.others) + len(classes) < 2:
        classes, unlabelled = [*classes, *unlabelled], []
    say_parts(layout)
    _say_taken_as_classes(layout, classes)
    say_unused(layout, unlabelled, _UNLABELLED)
    _say_empty_splits(layout)
    in_order = [folder for folder in layout.top.bearing() if folder in classes or folder in beside.others]
    return classes_of_parts(plain_classes(layout, in_order))


def _base(others: Sequence[Folder]) -> Folder | None:
    """The one other folder, if it holds class folders: it is for training, whatever it is called."""
    inside = innermost(others[0], set()) if len(others) == 1 else None
    return inside if inside and inside.bearing() and not inside.files else None


def _is_likelier_a_class(folder: Folder, others: Sequence[Folder]) -> bool:
    """Whether a folder with a split's name, which mirrors no classes, is likelier a class than a split.

    Training and validation images without labels are of no use to anybody, but `train` and `valid` are names
    of things; test images without labels are common.
    """
    joined = "".join(words(folder.name))
    opposites = {f"{prefix}{joined}" for prefix in ("in", "un", "not", "non", "no")}
    if any("".join(words(other.name)) in opposites for other in others):
        return True
    return joined in ("train", "valid") and not folder.bearing()


def _nothing_to_train_on(layout: Layout, beside: _Beside) -> str:
    flat = [folder for _, folder in beside.splits if not is_labelled(folder, set())]
    training = [folder for split, folder in beside.splits if split.pool == "train"]
    if training or len(flat) == len(beside.splits):
        names = " and ".join(folder.name for folder in training or flat)
        return (
            f"There are no class folders with images in {names} of {layout.top.path}: the images lie flat "
            "there. If their names begin with the class, as in cat_001.jpg, add `--set "
            "dataset.layout=prefix`; if a list says what they show, give that: --dataset list.csv; if "
            f"{names} is the name of a class: {NO_SPLITS}."
        )
    names = " and ".join(folder.name for _, folder in beside.splits)
    return (
        f"There is nothing to train on in {layout.top.path}, only {names}. If one of them is for training, "
        f"say so: --set 'dataset.splits={{train: [{beside.splits[0][1].name}]}}'."
    )


def _other_classes(layout: Layout, folder: Folder, inside: Sequence[Folder], others: Sequence[Folder]) -> str:
    return (
        f"The folder {folder.name} of {layout.top.path} has the name of a split, but the folders inside "
        f"({listed(one.name for one in inside)}) are none of the classes beside it "
        f"({listed(one.name for one in others)}). Rename them alike if it is a split; if it is a class: "
        f"{NO_SPLITS}; to pass it over: --set 'dataset.ignore=[{folder.name}]'."
    )


def _as_named(layout: Layout, folders: Sequence[Folder], named: Named) -> Layout:
    """The splits are what the user says."""
    asked = [(pool, name.strip("/").casefold()) for pool in POOLS for name in named.get(pool, [])]
    if not asked:
        return plain_classes(layout, folders)
    by_path: dict[str, Folder] = {}
    for folder in layout.top.folders:
        by_path[folder.name.casefold()] = folder
        by_path.update({one.below(layout.top).casefold(): one for one in folder.folders})
    inside = {one.name.casefold() for folder in folders for one in folder.bearing()}
    missing = [name for _, name in asked if name not in by_path]
    if missing and all(name in inside for _, name in asked):
        return split_inside(layout, folders, named)
    if missing:
        raise DataError(
            f"dataset.splits names {listed(repr(name) for name in missing)}, but the folders in "
            f"{layout.top.path} are {listed((folder.name for folder in layout.top.folders), 8) or 'none'}."
        )
    layout.parts = [(pool, innermost(by_path[name], set())) for pool, name in asked]
    rest = [folder for folder in folders if not any(_lies_in(part, folder) for _, part in layout.parts)]
    if any(pool == "train" for pool, _ in layout.parts):
        say_unused(layout, rest, "for dataset.splits does not name them.")
        return classes_of_parts(layout)
    return classes_of_parts(plain_classes(layout, rest))


def _lies_in(folder: Folder, other: Folder) -> bool:
    """Whether it is the other folder or lies inside."""
    current: Folder | None = folder
    while current is not None and current is not other:
        current = current.parent
    return current is not None


def _say_empty_splits(layout: Layout) -> None:
    empty = [
        f.name for f in layout.top.folders if not f.images and (split := plain_split(f.name)) and split.pool
    ]
    if empty:
        layout.said.append(f"There are no images in the folder {' and '.join(empty)}.")


def _say_taken_as_classes(layout: Layout, folders: Sequence[Folder]) -> None:
    if folders:
        names = " and ".join(folder.name for folder in folders)
        layout.said.append(
            f"Taken as a class, for it has no class folders inside as a split has: {names}. To leave it out: "
            f"--set 'dataset.ignore=[{', '.join(folder.name for folder in folders)}]'."
        )
