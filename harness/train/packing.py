"""Pixels as training takes them: on a GPU as 64-bit numbers, for TensorFlow cannot pick single bytes there.

TensorFlow's kernels that gather rows for a GPU know numbers of 64 bits, but not bytes. Of bytes in a GPU's
memory it would copy all back to the processor to pick a batch. So eight bytes make a number, which is only
moved, and the batch is bytes again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

WORD = 8
"""Bytes of a number."""


def on_gpu() -> bool:
    """Whether this process trains on a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def as_fed(images: npt.NDArray[Any]) -> tf.Tensor:
    """Images as a program's training takes them, in the memory of the device that trains.

    Args:
        images: pixels uint8 (N, H, W, C), or (N, T, H, W, C) of clips; or features float32 (N, F).

    Returns:
        The same; but on a GPU pixels as int64 (N, W): an image's bytes, filled up with zeros.
    """
    if images.dtype != np.uint8 or not on_gpu():
        return tf.constant(images)
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    filled = rows
    if rows.shape[1] % WORD:
        filled = np.zeros((len(rows), WORD * words(rows.shape[1:])), np.uint8)
        filled[:, : rows.shape[1]] = rows
    return tf.constant(filled.view(np.int64))


def part_by_part(parts: Iterable[npt.NDArray[Any]]) -> tf.Tensor:
    """The images of all parts as one, in a GPU's memory; the machine's has no more than one part."""
    return tf.concat([as_fed(part) for part in parts], 0)


def words(shape: Sequence[int]) -> int:
    """Numbers that the bytes of an image of this shape make."""
    return -(-math.prod(shape) // WORD)


def chosen_pixels(packed: tf.Tensor, rows: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Some of the images that `as_fed` has packed: uint8 (n, *shape).

    Args:
        packed: int64 (N, W).
        rows: int32 (n,), which of them.
        shape: of an image.
    """
    octets = tf.bitcast(tf.gather(packed, rows), tf.uint8)
    octets = tf.reshape(octets, (-1, WORD * words(shape)))
    return tf.reshape(octets[:, : math.prod(shape)], (-1, *shape))
