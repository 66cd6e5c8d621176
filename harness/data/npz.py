"""An `.npz` of images and labels: `x_train, y_train[, x_val, y_val][, x_test, y_test]`, or `x, y`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.sources import ImageArrays, Pool
from harness.errors import DataError

KEYS: dict[Pool, tuple[tuple[str, str], ...]] = {
    "train": (("x_train", "y_train"), ("x", "y")),
    "validation": (("x_val", "y_val"), ("x_validation", "y_validation")),
    "test": (("x_test", "y_test"),),
}
MAX_BYTES = 64 << 30
"""Of one array, from its header: a small file may claim anything."""
MAX_RATIO = 200
"""Bytes of an array for each byte of the file, beyond the first `RATIO_FROM`."""
RATIO_FROM = 64 << 20


def read_npz(file: Path) -> ImageArrays:
    """The arrays, checked and brought to uint8 (N, H, W, C).

    Floats from 0 to 1 are taken as shares of 255. Labels may be whole numbers or text; `classes` (or
    `class_names`) gives names to numbers.

    Raises:
        DataError: the file is damaged, holds objects, or its arrays do not fit together.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            found = {
                pool: (_array(file, stored, keys[0]), _array(file, stored, keys[1]))
                for pool, choices in KEYS.items()
                for keys in choices
                if keys[0] in stored.files and keys[1] in stored.files
            }
            named = next(
                (_array(file, stored, key) for key in ("classes", "class_names") if key in stored.files), None
            )
            keys = ", ".join(stored.files)
    except DataError:
        raise
    except Exception as error:
        if "Object arrays cannot be loaded" in str(error):
            raise DataError(
                f"{file} holds Python objects, which are refused because loading them could run code. Save "
                "plain number arrays: numpy.savez(file, x_train=…, y_train=…)."
            ) from error
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise DataError(f"{file} is damaged or not an .npz file ({reason}).") from error
    if "train" not in found:
        raise DataError(f"{file} has no x_train and y_train, nor x and y; it has {keys or 'nothing'}.")

    classes, numbers = _labels(file, {pool: labels for pool, (_, labels) in found.items()}, named)
    warnings: list[str] = []
    pools = {
        pool: (_pixels(file, pool, images, warnings), numbers[pool]) for pool, (images, _) in found.items()
    }
    for pool, (images, labels) in pools.items():
        if len(images) != len(labels):
            raise DataError(f"{file} has {len(images)} images but {len(labels)} labels for {pool}.")
        if images.shape[1:] != pools["train"][0].shape[1:]:
            raise DataError(f"{file}: the {pool} images have another shape than the training images.")
    return ImageArrays(file.stem, classes, pools, tuple(dict.fromkeys(warnings)))


def _array(file: Path, stored: Any, key: str) -> npt.NDArray[Any]:
    """One array, after a look at what its header claims."""
    with stored.zip.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MAX_BYTES or size > max(RATIO_FROM, MAX_RATIO * file.stat().st_size):
        raise DataError(f"{file}: the array {key} claims the shape {shape}, which is too large.")
    array: npt.NDArray[Any] = stored[key]
    return array


def _pixels(file: Path, pool: Pool, images: npt.NDArray[Any], warnings: list[str]) -> npt.NDArray[np.uint8]:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise DataError(
            f"{file}: the {pool} images have the shape {images.shape}; it must be (N, height, width), or "
            "(N, height, width, channels) with 1 or 3 channels."
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iufb":
        raise DataError(f"{file}: the {pool} images are of type {images.dtype}, not numbers.")
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 255:
        raise DataError(
            f"{file}: the {pool} images reach from {low:g} to {high:g}; pixels must lie "
            "between 0 and 255, or "
            "0 and 1."
        )
    scale = 255.0 if high <= 1 else 1.0
    warnings.append(f"{file.name}: {images.dtype} pixels were rounded to 8 bits.")
    return np.round(images.astype(np.float64) * scale).astype(np.uint8)


def _labels(
    file: Path, labels: dict[Pool, npt.NDArray[Any]], named: npt.NDArray[Any] | None
) -> tuple[tuple[str, ...], dict[Pool, npt.NDArray[np.int32]]]:
    for pool, values in labels.items():
        if values.size == 0 or values.ndim == 0:
            raise DataError(f"{file} has no labels for {pool}, but an array of shape {values.shape}.")
    flat = {pool: values.reshape(len(values), -1) for pool, values in labels.items()}
    for pool, values in flat.items():
        if values.shape[1] != 1 or values.dtype.kind not in "iubUS":
            raise DataError(
                f"{file}: the {pool} labels must be one whole number or one word for each image, "
                f"not {values.dtype} of shape {labels[pool].shape}."
            )
    known = np.unique(flat["train"])
    for pool, values in flat.items():
        strange = np.setdiff1d(values, known)
        if len(strange):
            raise DataError(f"{file}: the {pool} label {strange[0]} has no training image.")
    if named is not None:
        if named.ndim != 1 or known.dtype.kind not in "iu" or known[0] < 0 or known[-1] >= len(named):
            raise DataError(f"{file}: its {named.size} class names do not fit labels up to {known[-1]}.")
        classes = tuple(str(name) for name in named[known])
    else:
        classes = tuple(
            value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in known
        )
    return classes, {
        pool: np.searchsorted(known, values.ravel()).astype(np.int32) for pool, values in flat.items()
    }
