"""Images that two models were not trained on, found among prepared data by the digests of their splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.arrays import Arrays, ImagesOnDisk, Labels, Part, load_split
from harness.data.split import part_digest
from harness.errors import DataError
from harness.paths.prepared import SPLITS, CachePaths, hashes_file

DECISIVE: tuple[Part, ...] = ("validation", "train")
"""Parts by whose digests a split is recognised; which images are for testing is not looked at."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The validation images of one split, none of which its models were trained on."""

    images: ImagesOnDisk
    """Of which none is read yet."""
    labels: Labels
    """int32 (N,)."""
    hashes: npt.NDArray[np.uint64]
    """Of the pixels, (N,)."""


def held_out_images(cache: Path, split_digests: Mapping[str, str]) -> HeldOut | None:
    """The validation images of a split; None if no prepared data has a split with these digests.

    Args:
        cache: where prepared data lies.
        split_digests: of `train` and `validation`, as `Dataset.split_digests` has them.
    """
    wanted = [split_digests.get(part) for part in DECISIVE]
    if None in wanted:
        return None
    for folder, arrays in _splits(cache):
        try:
            found = _read(folder, arrays, "validation")
            if part_digest(found.hashes, found.labels) != wanted[0]:
                continue
            trained = _read(folder, arrays, "train")
            if part_digest(trained.hashes, trained.labels) == wanted[1]:
                return found
        except (DataError, OSError, ValueError, IndexError):
            continue  # damaged, and not what is looked for
    return None


def held_out_of_both(one: HeldOut, other: HeldOut) -> tuple[ImagesOnDisk, Labels]:
    """The different images that are validation images of both splits, with the same label in both.

    No image is on two sides of a split, so neither model was trained on any of them.

    Returns:
        Images, of which none is read yet, in the order of the first split, and labels int32 (n,).
    """
    _, rows, others = np.intersect1d(one.hashes, other.hashes, return_indices=True)
    rows = np.sort(rows[one.labels[rows] == other.labels[others]])
    return ImagesOnDisk(one.images.pool, one.images.indices[rows]), one.labels[rows]


def _splits(cache: Path) -> Iterator[tuple[Path, Arrays]]:
    for file in sorted(CachePaths(cache).datasets.glob(f"*/{SPLITS}")):
        try:
            yield file.parent, load_split(file.parent, file.name)
        except DataError:
            continue


def _read(folder: Path, arrays: Arrays, part: Part) -> HeldOut:
    images, labels = arrays.on_disk(part)
    hashes = np.load(hashes_file(folder, arrays.pool_of(part)), mmap_mode="r", allow_pickle=False)
    return HeldOut(images, labels, np.asarray(hashes[images.indices], np.uint64))
