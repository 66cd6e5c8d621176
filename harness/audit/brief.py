"""What can be told of prepared data for next to nothing, before a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.audit.blank import NEARLY, NOTHING_TO_SEE, deviation, nothing_to_see
from harness.data.arrays import ImagesOnDisk, Labels, load
from harness.data.manifest import read_manifest
from harness.data.sentences import counted, listed
from harness.errors import DataError
from harness.messages import and_list
from harness.paths.prepared import hashes_file, labels_file
from harness.records import Dataset

SAMPLE = 1000
"""Images whose pixels are looked at."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What was found, in short."""

    blank: tuple[str, ...]
    """The classes of the images that are of one colour, or nearly: one entry for each image."""
    looked_at: int
    """Images whose pixels were looked at."""
    nothing_to_see: bool
    """Whether every image is of one and the same colour, or nearly."""
    conflicts: int
    """Pictures that are there under different labels."""
    leaked: int
    """Pictures that are there in two of the source's own splits."""
    unreadable: int
    noun: str
    """What one of them is called."""

    def sentence(self, command: str) -> str | None:
        """What should be said; None if nothing was found.

        Args:
            command: what shows more.
        """
        parts = []
        if self.leaked:
            parts.append(f"{counted(self.leaked, 'picture')} in two splits")
        if self.conflicts:
            parts.append(f"{counted(self.conflicts, 'picture')} under different labels")
        if self.unreadable:
            parts.append(counted(self.unreadable, "unreadable file"))
        if self.blank:
            among = f"among {self.looked_at:,} looked at, of {listed(sorted(set(self.blank)))}"
            parts.append(f"{counted(len(self.blank), self.noun)} of one colour ({among})")
        return f"The data has {and_list(parts)}. To see which: {command}" if parts else None


def brief(dataset: Dataset) -> Brief:
    """Look at the hashes of a prepared data set, and at the pixels of some training and validation images.

    Raises:
        DataError: the prepared data is gone or damaged.
    """
    folder = Path(dataset.folder)
    pools = list(read_manifest(folder).pools)
    labels = {pool: np.load(labels_file(folder, pool)) for pool in pools}
    hashes = {pool: np.load(hashes_file(folder, pool)) for pool in pools}
    blank, looked_at, nothing = _blank(dataset)
    return Brief(
        blank=tuple(dataset.classes[label] for label in blank),
        looked_at=looked_at,
        nothing_to_see=nothing,
        conflicts=_conflicts(labels, hashes),
        leaked=_leaked(labels, hashes),
        unreadable=sum(int((of_pool < 0).sum()) for of_pool in labels.values()),
        noun=dataset.noun,
    )


def refuse_nothing_to_see(found: Brief) -> None:
    """Raise DataError if every image is of one and the same colour, or nearly."""
    if found.nothing_to_see:
        raise DataError(NOTHING_TO_SEE.format(found.noun))


def _blank(dataset: Dataset) -> tuple[list[int], int, bool]:
    """Labels of the images of one colour among some; how many were looked at; whether none shows anything."""
    arrays = load(dataset)
    parts = [arrays.on_disk(part) for part in ("train", "validation")]
    total = sum(len(images) for images, _ in parts)
    found, looked_at = [], 0
    for images, labels in parts:
        rows = np.linspace(0, len(images) - 1, min(len(images), -(-SAMPLE * len(images) // max(total, 1))))
        for row in np.unique(rows.astype(np.int64)).tolist():
            looked_at += 1
            if _is_blank(images, row):
                found.append(int(labels[row]))
    nothing = len(found) == looked_at > 0 and _nothing_to_see([images for images, _ in parts])
    return found, looked_at, nothing


def _nothing_to_see(parts: list[ImagesOnDisk]) -> bool:
    every = [(images, row) for images in parts for row in range(len(images))]
    blank = all(_is_blank(images, row) for images, row in every)
    return blank and nothing_to_see([images[row : row + 1][0] for images, row in every])


def _is_blank(images: ImagesOnDisk, row: int) -> bool:
    return deviation(images[row : row + 1][0]) < NEARLY


def _conflicts(labels: dict[str, Labels], hashes: dict[str, npt.NDArray[np.uint64]]) -> int:
    every = np.concatenate([hashes[pool][labels[pool] >= 0] for pool in labels])
    named = np.concatenate([labels[pool][labels[pool] >= 0] for pool in labels])
    pictures = np.unique(np.stack([every, named.astype(np.uint64)], axis=1), axis=0)[:, 0]
    return int((np.unique(pictures, return_counts=True)[1] > 1).sum())


def _leaked(labels: dict[str, Labels], hashes: dict[str, npt.NDArray[np.uint64]]) -> int:
    known = [np.unique(hashes[pool][labels[pool] >= 0]) for pool in labels]
    return int((np.unique(np.concatenate(known), return_counts=True)[1] > 1).sum())
