"""What the folders of a list's images say: the split of each, and which images the list leaves out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.data.labelled import Labelled
from harness.data.not_data import IMAGES
from harness.data.sentences import counted, listed
from harness.data.source import POOLS, Pool
from harness.data.split_names import flat, split_names
from harness.errors import DataError


def splits_of_folders(
    file: Path, labelled: Sequence[Labelled], named: dict[str, list[str]] | None
) -> tuple[list[Labelled], list[str]] | None:
    """The images with the splits that the folders of their paths name: `train/1.png`, `test/2.png`.

    Args:
        file: the list.
        labelled: its images.
        named: names of folders by split as the user says it; {} if there are no splits; None to go by the
        names.

    Returns:
        The images, and sentences about it; None if not every image lies in a folder with a split's name.

    Raises:
        DataError: no folder has the name that the user gave.
    """
    if named == {}:
        return None
    root = str(file.parent.resolve())
    parts_of = {
        folder: Path(os.path.relpath(real, root)).parts for folder, real in _real_folders(labelled).items()
    }
    names = sorted({name for parts in parts_of.values() for name in parts})
    pools = _pools(file, names, named)
    found = [next((pools[n] for n in parts_of[_folder(one.path)] if n in pools), None) for one in labelled]
    if named is None and (None in found or len(set(found)) < 2 or "train" not in found):
        return None
    rest: Pool | None = None if named and named.get("train") else "train"
    taken = [pool or rest for pool in found]
    each = ", ".join(f"{name} is {pool}" for name, pool in sorted(pools.items()))
    said = [
        f"Splits by the folders of the paths, for {file.name} has no column for them: {each}. For none: "
        "--set 'dataset.splits={}'."
    ]
    if left := taken.count(None):
        said.append(f"Not used: {counted(left, 'image')} in folders that dataset.splits does not name.")
    return [one._replace(pool=pool) for one, pool in zip(labelled, taken, strict=True) if pool], said


def unlisted_beside(labelled: Sequence[Labelled]) -> list[str]:
    """Images in the folders of those that are listed."""
    real = _real_folders(labelled)
    known = {f"{real[_folder(one.path)]}/{one.path.rpartition('/')[2]}" for one in labelled}
    unlisted = []
    for folder in sorted(set(real.values())):
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            continue
        for name in names:
            is_image = name[0] != "." and f".{name.rpartition('.')[2].lower()}" in IMAGES
            if is_image and f"{folder}/{name}" not in known:
                unlisted.append(f"{folder}/{name}")
    return unlisted


def _pools(file: Path, names: Sequence[str], named: dict[str, list[str]] | None) -> dict[str, Pool | None]:
    """The splits of names of folders."""
    if named is None:
        return {name: split.pool for name, split in split_names(names).items()}
    pools: dict[str, Pool | None] = {
        name: pool for name in names for pool in POOLS if name.casefold() in flat({pool: named.get(pool, [])})
    }
    if not pools:
        raise DataError(
            f"dataset.splits names {listed(sorted(flat(named)))}, but {file} has neither a column for the "
            "split nor such folders in its paths."
        )
    return pools


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _real_folders(labelled: Sequence[Labelled]) -> dict[str, str]:
    """The folders of the images as they are written, and where they really are."""
    return {folder: os.path.realpath(folder) for folder in {_folder(one.path) for one in labelled}}
