"""The test images of a prepared data set: which they are stands in a file of its own, apart from the split's.

Workers are given the split's file alone. The one function of theirs that opens this one is
`harness.train.testing.evaluate_on_test`, which is called when the test set is opened, and such openings are
counted (see `harness.confirmation.opening`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.arrays import ImagesOnDisk, Labels, gone, on_disk
from harness.data.split import Indices, part_digest
from harness.errors import DataError
from harness.paths.prepared import hashes_file, labels_file, sealed_name
from harness.records import Dataset

_IN_OLD_FILES = 2
"""Where files of earlier versions, which held all three parts, name the pool of the test images."""


def sealed_arrays(indices: Indices, pool: str) -> dict[str, npt.NDArray[np.generic]]:
    """The content of the file of test images, an `.npz`.

    Args:
        indices: positions of the test images in the pool, int64 (N,).
        pool: where the images are.
    """
    return {"test": indices, "pool": np.array(pool)}


def open_sealed(dataset: Dataset) -> tuple[ImagesOnDisk, Labels]:
    """The test images, of which none is read yet, and their labels int32 (N,).

    Raises:
        DataError: the prepared data is gone or damaged.
    """
    indices, pool = which_images(dataset)
    return on_disk(Path(dataset.folder), pool, indices)


def digest_of_test(dataset: Dataset) -> str:
    """SHA-256 (hex) of the test images and their labels, also for data that an earlier version has prepared.

    Raises:
        DataError: the prepared data is gone or damaged.
    """
    folder, (indices, pool) = Path(dataset.folder), which_images(dataset)
    try:
        hashes, labels = np.load(hashes_file(folder, pool)), np.load(labels_file(folder, pool))
    except (OSError, ValueError) as error:
        raise DataError(gone(hashes_file(folder, pool), error)) from error
    return part_digest(hashes[indices], labels[indices])


def which_images(dataset: Dataset) -> tuple[Indices, str]:
    """Positions of the test images, int64 (N,), and their pool.

    Raises:
        DataError: the prepared data is gone or damaged.
    """
    folder = Path(dataset.folder)
    file = folder / sealed_name(dataset.split)
    old = folder / dataset.split
    try:
        if not file.exists() and old.exists():
            with np.load(old, allow_pickle=False) as stored:
                return stored["test"], str(stored["pools"][_IN_OLD_FILES])
        with np.load(file, allow_pickle=False) as stored:
            return stored["test"], str(stored["pool"])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(gone(file, error)) from error
