"""Which arrays of an `.npz` are images and labels of which split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.sentences import listed
from harness.data.source import POOLS, Pool
from harness.data.split_names import split_name, words
from harness.errors import DataError

_IMAGES = frozenset([
    "x", "images", "image", "imgs", "img", "data", "inputs", "input", "pixels", "pictures",
])  # fmt: skip
_LABELS = frozenset(["y", "labels", "label", "targets", "target", "t"])
_NAMES = frozenset(
    ["classes", "classnames", "labelnames", "targetnames", "categories", "names", "categorynames"]
)
_ROLE, _SPLIT = "x|y|images?|labels?|imgs?|data|targets?", "train|training|val|valid|validation|dev|test"
_ONE_WORD = re.compile(f"({_ROLE})({_SPLIT})|({_SPLIT})({_ROLE})")
"""Matches a role and a split written as one word, such as xtrain or testimages."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The arrays that are used, and those that are not."""

    pairs: dict[Pool, tuple[str, str]]
    """Images and labels by split."""
    names: str | None
    """The names of the classes."""
    unused: dict[str, str]
    """Why arrays are not used, by their names; empty where nothing is known of one."""
    unclear: bool
    """Whether some name says its split in other words than usual."""


def choose_keys(file: Path, keys: Sequence[str]) -> Keys:
    """The arrays by their names, whatever their case: x_train, X_valid, val_images, test_labels, data and
    target.

    Raises:
        DataError: two arrays seem to be the same, or there are none to train on.
    """
    images: dict[Pool, str] = {}
    labels: dict[Pool, str] = {}
    names: list[str] = []
    unused: dict[str, str] = {}
    for key in keys:
        if "".join(words(key)) in _NAMES:
            names.append(key)
            continue
        pool, is_image = _meaning(key)
        if pool is None:
            unused[key] = ""
            continue
        place = images if is_image else labels
        if pool in place:
            what = "images" if is_image else "labels"
            raise DataError(
                f"{file}: the arrays {place[pool]} and {key} both seem to be the {pool} {what}. Keep one of "
                "them, or rename the other."
            )
        place[pool] = key
    unused |= dict.fromkeys(names[1:], "")
    pairs: dict[Pool, tuple[str, str]] = {}
    for pool in POOLS:
        if pool in images and pool in labels:
            pairs[pool] = images[pool], labels[pool]
        elif pool in images or pool in labels:
            key, other = (images[pool], "labels") if pool in images else (labels[pool], "images")
            if pool == "train":
                raise DataError(_no_training(file, keys, f": {key} has no {other}"))
            unused[key] = f"there are no {other} for it"
    if "train" not in pairs:
        raise DataError(_no_training(file, keys, ""))
    return Keys(pairs, names[0] if names else None, unused, _is_unclear(pairs))


def say_keys(file: Path, keys: Keys, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Sentences about arrays that were taken by their names, and about those that were not used."""
    said = []
    if keys.unclear:
        each = ", ".join(f"{images} and {labels} are {pool}" for pool, (images, labels) in keys.pairs.items())
        said.append(f"{file.name}: {each}.")
    if keys.unused:
        shown = (
            f"{key} {shapes.get(key, ())}" + (f", for {why}" if why else "")
            for key, why in keys.unused.items()
        )
        said.append(f"{file.name}: not used: {listed(shown, 5)}.")
    return said


def _no_training(file: Path, keys: Sequence[str], more: str) -> str:
    return (
        f"{file} has no x_train and y_train, nor x and y, nor train_images and train_labels{more}; it has "
        f"{listed(keys, 8) or 'nothing'}."
    )


def _meaning(key: str) -> tuple[Pool | None, bool]:
    """The split, None if the name says nothing; and whether it is images."""
    parts: list[str] = []
    for word in words(key):
        glued = _ONE_WORD.fullmatch(word)
        parts += [part for part in glued.groups() if part] if glued else [word]
    roles = [part for part in parts if part in _IMAGES or part in _LABELS]
    rest = [part for part in parts if part not in _IMAGES and part not in _LABELS]
    if len(roles) == 2 and roles[0] in ("data", "x", "images", "image") and roles[1] != roles[0]:
        roles = [role for role in roles if role != "data"]  # data_x, data_y
    if len(roles) != 1:
        return None, False
    is_image = roles[0] in _IMAGES
    if not rest:
        return "train", is_image
    split = split_name("_".join(rest))
    if split is None or split.rest or split.pool is None:
        return None, False
    return split.pool, is_image


def _is_unclear(pairs: dict[Pool, tuple[str, str]]) -> bool:
    """Whether something is to be said: names other than x_train, x_val, x_test and x, in whatever case."""
    known = {"train": ("x_train", "x"), "validation": ("x_val", "x_validation"), "test": ("x_test",)}
    return any(images.lower() not in known[pool] for pool, (images, _) in pairs.items())
