"""An `.npz` of images and labels: `x_train, y_train[, x_val, y_val][, x_test, y_test]`, `x, y`, or names
like those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.npz_keys import choose_keys, say_keys
from harness.data.npz_labels import label_numbers
from harness.data.pixel_range import Choice, Range, checked, extent_of, given_range, outside, to_bytes
from harness.data.source import ImageArrays, Pool
from harness.errors import DataError

MAX_BYTES = 64 << 30
"""The most that one array may take, by its header: a small file may claim anything."""
MAX_RATIO = 200
"""Bytes of an array for each byte of the file, beyond the first `RATIO_FROM`."""
RATIO_FROM = 64 << 20
ROWS = 1024
"""Images that are brought to bytes at a time."""

_Images = dict[Pool, npt.NDArray[Any]]


def read_npz(file: Path, pixel_range: Range | None = None) -> ImageArrays:
    """The arrays, checked and brought to uint8 (N, H, W, C).

    Labels may be whole numbers, text or one-hot; `classes` (or `class_names`) gives names to numbers. Which
    values
    are black and white is decided for all splits together, from their type and range.

    Args:
        file: the `.npz`.
        pixel_range: the values that become 0 and 255; None to go by what the arrays hold.

    Raises:
        DataError: the file is damaged, holds objects, or its arrays do not fit together.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            keys = choose_keys(file, stored.files)
            images = {pool: _array(file, stored, pair[0]) for pool, pair in keys.pairs.items()}
            labels = {pool: _array(file, stored, pair[1]) for pool, pair in keys.pairs.items()}
            named = _array(file, stored, keys.names) if keys.names else None
            shapes = {key: _header(stored, key)[0] for key in keys.unused}
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

    classes, numbers, said = label_numbers(file, labels, named)
    shaped = {pool: _shaped(file, pool, found) for pool, found in images.items()}
    for pool, found in shaped.items():
        if len(found) != len(numbers[pool]):
            raise DataError(f"{file} has {len(found)} images but {len(numbers[pool])} labels for {pool}.")
        if found.shape[1:] != shaped["train"].shape[1:]:
            raise DataError(f"{file}: the {pool} images have another shape than the training images.")
    choice = _choice(file, shaped, pixel_range)
    pools = {pool: (_as_bytes(found, choice.pixel_range), numbers[pool]) for pool, found in shaped.items()}
    sentences = [*([choice.sentence] if choice.sentence else []), *say_keys(file, keys, shapes), *said]
    return ImageArrays(file.stem, classes, pools, tuple(sentences), choice.pixel_range)


def _header(stored: Any, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, without reading it."""
    with stored.zip.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
    return shape, dtype


def _array(file: Path, stored: Any, key: str) -> npt.NDArray[Any]:
    """One array, after a look at what its header claims."""
    shape, dtype = _header(stored, key)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MAX_BYTES or size > max(RATIO_FROM, MAX_RATIO * file.stat().st_size):
        raise DataError(f"{file}: the array {key} claims the shape {shape}, which is too large.")
    array: npt.NDArray[Any] = stored[key]
    return array


def _shaped(file: Path, pool: Pool, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(N, H, W, C), numbers."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        first = images.ndim == 4 and images.shape[1] in (1, 3)
        raise DataError(
            f"{file}: the {pool} images have the shape {images.shape}; it must be (N, height, width), or (N, "
            "height, width, channels) with 1 or 3 channels."
            + (" If the channels come first, move them: numpy.moveaxis(x, 1, -1)." if first else "")
        )
    if images.dtype.kind not in "iufb":
        raise DataError(f"{file}: the {pool} images are of type {images.dtype}, not numbers.")
    return images


def _choice(file: Path, images: _Images, given: Range | None) -> Choice:
    if given is None:
        return checked([extent_of(found) for found in images.values()], file.name)
    if any(found.dtype.kind == "f" and not np.isfinite(found).all() for found in images.values()):
        raise DataError(f"{file}: the pixels hold values that are no numbers (NaN or infinite).")
    beyond = sum(outside(found, given) for found in images.values())
    return Choice(given, f"{file.name}: {given_range(given, beyond)}.")


def _as_bytes(images: npt.NDArray[Any], pixel_range: Range | None) -> npt.NDArray[np.uint8]:
    if pixel_range is None:
        return images if images.dtype == np.uint8 else images.astype(np.uint8)
    found = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), ROWS):
        found[start : start + ROWS] = to_bytes(images[start : start + ROWS], pixel_range)
    return found
