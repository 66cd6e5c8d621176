"""Prepared data as arrays: what is trained on and validated with (test images: `harness.data.sealed`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.paths.prepared import images_file, labels_file
from harness.records import Dataset

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Part = Literal["train", "validation"]
PARTS: tuple[Part, ...] = ("train", "validation")


def part_named(name: str) -> Part:
    """The part that a file names; raises ValueError if it names none."""
    return PARTS[PARTS.index(name)]


@dataclass(frozen=True, slots=True)
class ImagesOnDisk:
    """Chosen images of a pool; a slice or indices of them are read when asked for, as uint8 (n, H, W, C)."""

    pool: Images
    """Memory-mapped, uint8 (M, H, W, C)."""
    indices: npt.NDArray[np.int64]
    """Positions of these images in the pool, int64 (N,)."""

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, wanted: slice | npt.NDArray[np.integer[Any]]) -> Images:
        chosen: Images = self.pool[self.indices[wanted]]
        return chosen

    @property
    def image_bytes(self) -> int:
        """What one of them takes in memory."""
        return int(np.prod(self.pool.shape[1:]))

    @property
    def nbytes(self) -> int:
        """What all of them would take in memory."""
        return len(self.indices) * self.image_bytes


@dataclass(frozen=True, slots=True)
class Arrays:
    """One split of a prepared data set; the images stay on disk until they are asked for.

    It knows nothing of test images: whoever has it cannot come upon one.
    """

    folder: Path
    _indices: dict[Part, npt.NDArray[np.int64]]
    _pools: dict[Part, str]
    """Which pool each part's indices point into."""
    _folds: npt.NDArray[np.int16] | None = None
    """The part that each training image is dealt out to, int16 (repeats, N); None: there are no folds."""

    def train(self) -> tuple[Images, Labels]:
        """Training images uint8 (N, H, W, C) and labels int32 (N,)."""
        return self._part("train")

    def on_disk(self, part: Part) -> tuple[ImagesOnDisk, Labels]:
        """The images of a part, of which none is read yet, and their labels int32 (N,)."""
        return on_disk(self.folder, self._pools[part], self._indices[part])

    def held_out(self, fold: int) -> npt.NDArray[np.bool_]:
        """Which of the training images a fold, from 0, is validated on and does not train on: bool (N,)."""
        assert self._folds is not None
        repeat, part = divmod(fold, int(self._folds.max()) + 1)
        held: npt.NDArray[np.bool_] = self._folds[repeat] == part
        return held

    def pool_of(self, part: Part) -> str:
        """The name of the pool that the images of a part are taken from."""
        return self._pools[part]

    def validation(self) -> tuple[Images, Labels]:
        """Validation images uint8 (N, H, W, C) and labels int32 (N,); of length 0 where there are none."""
        return self._part("validation")

    def _part(self, part: Part) -> tuple[Images, Labels]:
        images, labels = self.on_disk(part)
        if np.array_equal(images.indices, np.arange(len(images.pool))):
            return images.pool, labels
        return images[:], labels


def load(dataset: Dataset) -> Arrays:
    """The arrays of a prepared data set; raises DataError if they are gone or damaged."""
    return load_split(Path(dataset.folder), dataset.split)


def load_split(folder: Path, split: str) -> Arrays:
    """The arrays of one split of prepared data.

    Args:
        folder: of the prepared data.
        split: the name of the split's file in it.

    Raises:
        DataError: they are gone or damaged.
    """
    try:
        with np.load(folder / split, allow_pickle=False) as stored:
            indices = {part: stored[part] for part in PARTS}
            # Files of earlier versions name a third pool, that of the test images.
            pools = dict(zip(PARTS, stored["pools"].tolist(), strict=False))
            folds = stored.get("folds")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(gone(folder / split, error)) from error
    return Arrays(folder, indices, pools, folds)


def on_disk(folder: Path, pool: str, indices: npt.NDArray[np.int64]) -> tuple[ImagesOnDisk, Labels]:
    """Chosen images of a pool, of which none is read yet, and their labels int32 (N,).

    Args:
        folder: of the prepared data.
        pool: the name of the pool.
        indices: positions in the pool, int64 (N,).

    Raises:
        DataError: the arrays are gone or damaged.
    """
    labels: Any = _load(labels_file(folder, pool))
    return ImagesOnDisk(_load(images_file(folder, pool)), indices), labels[indices]


def _load(file: Path) -> npt.NDArray[Any]:
    try:
        loaded: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(gone(file, error)) from error
    return loaded


def gone(file: Path, error: Exception) -> str:
    """The sentence for a file of prepared data that cannot be read."""
    return (
        f"The prepared data {file} is missing or damaged ({error}). Run the command again to prepare it anew."
    )
