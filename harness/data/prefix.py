"""Flat folders whose file names begin with the class."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.data.class_images import unused_beside
from harness.data.labelled import Labelled
from harness.data.layout import Layout, Named, refuse_two_for_one, say_parts, say_unused
from harness.data.sentences import counted, listed
from harness.data.source import POOLS, Pool
from harness.data.split_names import plain_split, split_names
from harness.data.tree import Folder, images_below
from harness.errors import DataError

SHOWN_CLASSES = 6
_COPY = re.compile(r"[ _-]*(?:\(\d+\)|- ?copy|copy)$", re.IGNORECASE)
_NUMBER = re.compile(r"[ _\-.]+\(?\d")
_SEPARATOR = re.compile(r"[ _\-.]+")
_GLUED_NUMBER = re.compile(r"(\D*)\d+")
_COUNTERS = frozenset(["img", "image", "pic", "photo", "frame", "dsc", "no", "nr"])
"""Words that only count, in `cat_img1`; single letters do too."""


def images_by_prefix(root: Folder, named: Named | None) -> tuple[list[Labelled], list[str]]:
    """The images of flat folders, whose names begin with the class, and what should be said of it.

    Raises:
        DataError: two folders seem to be the same split, or there are no images.
    """
    layout, loose = _flat_parts(root, named)
    found: list[tuple[str, str, Labelled]] = []
    for pool, folder in layout.parts:
        found += [
            (name, _stem(name), Labelled(f"{inside.path}/{name}", stat, "", pool))
            for inside, name, stat in _flat(layout, folder)
        ]
    if not found:
        raise DataError(f"There are no images in {layout.top.path}.")
    labels = prefixes([stem for _, stem, _ in found])
    labelled = [one._replace(label=label) for label, (_, _, one) in zip(labels, found, strict=True) if label]
    said = layout.said
    without = [
        f"{one.pool}: {name}" for label, (name, _, one) in zip(labels, found, strict=True) if not label
    ]
    if without:
        said.append(
            f"Not used: {counted(len(without), 'image')} whose name does not begin with a class "
            f"({listed(without)})."
        )
    said.append(
        _shown_classes((label, name) for label, (name, _, _) in zip(labels, found, strict=True) if label)
    )
    return labelled, said + (unused_beside(layout.top, root, "the folders of the splits") if loose else [])


def prefixes(stems: Sequence[str]) -> list[str]:
    """The class in each name: what stands before its last number; empty where there is none.

    Where that leaves most classes with a single image, as `dog_1_1`, `dog_2_1` do, the number before goes
    too.
    """
    labels = [_before_number(stem) for stem in stems]
    for _ in range(3):
        counts = Counter(label for label in labels if label)
        shorter = [_before_number(label) or label for label in labels]
        alone = sum(count == 1 for count in counts.values())
        if 2 * alone <= len(counts) or len(set(shorter)) >= len(counts):
            break
        labels = shorter
    return labels


def _before_number(stem: str) -> str:
    parts = [part for part in _SEPARATOR.split(stem) if part]
    if all(part.strip("()").isdecimal() for part in parts):  # 7_00012: the first number is the class
        return parts[0] if len(parts) > 1 else ""
    bare = _COPY.sub("", stem)
    if bare != stem and bare and any(character.isdecimal() for character in bare):
        stem = bare
    numbers = list(_NUMBER.finditer(stem))
    while numbers and not stem[: numbers[-1].start()].strip(" _-."):
        numbers.pop()
    if numbers:
        return stem[: numbers[-1].start()].strip(" _-.")
    *words, last = [part for part in _SEPARATOR.split(stem) if part] or [""]
    if not any(character.isdecimal() for character in last):
        return words[0] if words else last
    glued = _GLUED_NUMBER.fullmatch(last)
    kept = glued[1] if glued and len(glued[1]) > 1 and glued[1].lower() not in _COUNTERS else ""
    end = stem.rfind(last)
    return (stem[:end] + kept).strip(" _-.") or last


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _shown_classes(found: Iterable[tuple[str, str]]) -> str:
    names: dict[str, list[str]] = {}
    for label, name in found:
        names.setdefault(label, []).append(name)
    each = [f"{label} ({len(files):,}: {', '.join(files[:2])}, …)" for label, files in sorted(names.items())]
    return (
        f"{counted(len(names), 'class', 'classes')} by the beginnings of names: "
        f"{listed(each, SHOWN_CLASSES)}. For others, give a list with the columns path and label."
    )


def _flat_parts(root: Folder, named: Named | None) -> tuple[Layout, bool]:
    """The flat folders by split; and whether images directly in the top folder are none of them."""
    top = root
    while not top.files and len(inside := top.bearing()) == 1:
        split = plain_split(inside[0].name)
        if named is None and split and split.pool:
            break
        (top,) = inside
    layout = Layout(top)
    folders = top.bearing()
    pools = _pools(layout, folders, named)
    rest = [folder for folder in folders if folder.name not in pools]
    say_unused(layout, [one for one in folders if pools.get(one.name, "train") is None], "without labels.")
    if any(pool == "train" for pool, _ in layout.parts):
        say_unused(layout, rest, "beside the splits.")
        return layout, True
    if top.files:
        say_unused(layout, rest, "for images lie directly beside them.")
        layout.parts.insert(0, ("train", top))
    elif rest:
        layout.said.append(
            f"The images of these folders are taken together: {listed(one.name for one in rest)}."
        )
        together: list[tuple[Pool, Folder]] = [("train", folder) for folder in rest]
        layout.parts = together + layout.parts
    return layout, False


def _pools(layout: Layout, folders: Sequence[Folder], named: Named | None) -> dict[str, Pool | None]:
    """The splits of folders by name, of which those with labels become parts of the layout."""
    names = [folder.name for folder in folders]
    if named is None:
        splits = split_names(names)
        pools: dict[str, Pool | None] = {name: split.pool for name, split in splits.items()}
    else:
        asked = {name.casefold(): pool for pool in POOLS for name in named.get(pool, [])}
        pools = {name: asked[name.casefold()] for name in names if name.casefold() in asked}
        missing = sorted(set(asked) - {name.casefold() for name in names})
        if missing:
            raise DataError(
                f"dataset.splits names {listed(repr(name) for name in missing)}, but the folders in "
                f"{layout.top.path} are {listed(names, 8) or 'none'}."
            )
    layout.parts = [(pool, folder) for folder in folders if (pool := pools.get(folder.name))]
    if named is None:
        refuse_two_for_one(layout.top, layout.parts)
        say_parts(layout)
    return pools


def _flat(layout: Layout, folder: Folder) -> Iterable[tuple[Folder, str, os.stat_result]]:
    if folder is layout.top:
        return [(folder, name, stat) for name, stat in folder.files]
    return images_below(folder)
