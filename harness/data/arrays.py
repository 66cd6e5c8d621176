"""Prepared data as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.records import Dataset

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Arrays:
    """One split of a prepared data set; the images stay on disk until they are asked for."""

    _folder: Path
    _indices: dict[str, npt.NDArray[np.int64]]
    _pools: dict[str, str]
    """Which pool each part's indices point into."""

    def train(self) -> tuple[Images, Labels]:
        """Images uint8 (N, H, W, C) and labels int32 (N,)."""
        return self._part("train")

    def train_pool(self) -> tuple[Images, npt.NDArray[np.int64], Labels]:
        """Images on disk, which of them are the training images (N,), and the labels of those (N,)."""
        pool, indices = self._pools["train"], self._indices["train"]
        labels: Any = _load(self._folder / f"{pool}_labels.npy")
        return _load(self._folder / f"{pool}_images.npy"), indices, labels[indices]

    def validation(self) -> tuple[Images, Labels]:
        """Like `train`; of length 0 where there are none."""
        return self._part("validation")

    def test(self) -> tuple[Images, Labels]:
        """Like `train`; of length 0 where there are none. Open it once, at the end."""
        return self._part("test")

    def some(self, part: str, rows: npt.NDArray[np.int64]) -> Images:
        """The images of `train` or `validation` at these positions, uint8 (len(rows), H, W, C)."""
        stored = _load(self._folder / f"{self._pools[part]}_images.npy")
        return np.ascontiguousarray(stored[self._indices[part][rows]])

    def _part(self, part: str) -> tuple[Images, Labels]:
        pool, indices = self._pools[part], self._indices[part]
        images: Any = _load(self._folder / f"{pool}_images.npy")
        labels: Any = _load(self._folder / f"{pool}_labels.npy")
        if len(indices) == len(images) and np.array_equal(indices, np.arange(len(images))):
            return images, np.asarray(labels)
        return images[indices], labels[indices]


def load(dataset: Dataset) -> Arrays:
    """The arrays of a prepared data set; raises DataError if they are gone or damaged."""
    folder = Path(dataset.folder)
    try:
        with np.load(folder / dataset.split, allow_pickle=False) as stored:
            indices = {part: stored[part] for part in ("train", "validation", "test")}
            pools = dict(zip(("train", "validation", "test"), stored["pools"].tolist(), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(_gone(folder / dataset.split, error)) from error
    return Arrays(folder, indices, pools)


def _load(file: Path) -> npt.NDArray[Any]:
    try:
        loaded: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(_gone(file, error)) from error
    return loaded


def _gone(file: Path, error: Exception) -> str:
    return (
        f"The prepared data {file} is missing or damaged ({error}). Run the command again to prepare it anew."
    )
