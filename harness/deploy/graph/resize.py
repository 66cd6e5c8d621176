"""Pillow's bilinear `resize` of 8-bit images in TensorFlow's operations, with the same integers.

`harness.data.decode` resizes with `reducing_gap=3.0`: a box filter over whole pixels while a side is at
least six times too long, then a triangle filter over what remains, one direction after the other, each
rounded to 8 bits. The weights are Pillow's, whole numbers of 22 bits, so results are equal, not just close.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

REDUCING_GAP = 3
"""The `reducing_gap` with which `harness.data.decode` resizes."""
WEIGHT_BITS = 22
"""Bits behind the point in the triangle filter's weights."""
QUOTIENT_BITS = 24
"""Bits behind the point in the factor that the box filter multiplies with instead of dividing."""


def resize(image: Any, size: tuple[int, int]) -> Any:
    """The whole image at `size`, whatever its proportions.

    Args:
        image: uint8 (H, W, C), any size.
        size: height and width.

    Returns:
        uint8 (height, width, C).
    """
    height, width = size
    by_rows = tf.maximum(tf.shape(image)[0] // (REDUCING_GAP * height), 1)
    by_columns = tf.maximum(tf.shape(image)[1] // (REDUCING_GAP * width), 1)
    rows, columns = _quotient(tf.shape(image)[0], by_rows), _quotient(tf.shape(image)[1], by_columns)
    image = tf.cond(
        (by_rows > 1) | (by_columns > 1), lambda: _reduced(image, by_rows, by_columns), lambda: image
    )
    there = tf.shape(image)

    def vertically(one: Any) -> Any:
        changes = (there[0] != height) | (rows != height)
        return tf.cond(changes, lambda: _resampled(one, rows, height), lambda: one)

    def horizontally(one: Any) -> Any:
        changes = (there[1] != width) | (columns != width)
        return tf.cond(changes, lambda: _turned(_resampled(_turned(one), columns, width)), lambda: one)

    rows_first = (there[0] > height) & (there[0] - height > 2 * (there[1] - width))
    image = tf.cond(
        rows_first,
        lambda: horizontally(vertically(image)),
        lambda: vertically(horizontally(image)),
    )
    return tf.ensure_shape(image, (height, width, None))


def _turned(image: Any) -> Any:
    """The image with its rows as columns."""
    return tf.transpose(image, (1, 0, 2))


def _quotient(length: Any, divisor: Any) -> Any:
    """The quotient as a float64 with the precision of a float32, which is what Pillow calculates with."""
    exact = tf.cast(length, tf.float64) / tf.cast(divisor, tf.float64)
    return tf.cast(tf.cast(exact, tf.float32), tf.float64)


def _reduced(image: Any, by_rows: Any, by_columns: Any) -> Any:
    """Means of blocks of `by_rows` × `by_columns` pixels, rounded; smaller blocks at the far edges."""
    sums, tall = _row_sums(image, by_rows)
    sums, wide = _row_sums(_turned(sums), by_columns)
    pixels = tall[:, None] * wide[None, :]
    factor = tf.cast(tf.constant(2.0**32) / tf.cast(256 * pixels, tf.float32), tf.int64)
    rounded = tf.cast(_turned(sums), tf.int64) + tf.cast(pixels // 2, tf.int64)[..., None]
    return tf.cast(tf.bitwise.right_shift(rounded * factor[..., None], QUOTIENT_BITS), tf.uint8)


def _row_sums(image: Any, together: Any) -> tuple[Any, Any]:
    """Sums of so many rows each, int32, and how many rows went into each."""
    height = tf.shape(image)[0]
    blocks = (height + together - 1) // together
    rows = tf.range(blocks)[:, None] * together + tf.range(together)[None, :]
    inside = tf.cast(rows < height, tf.int32)
    return _weighted_rows(image, tf.minimum(rows, height - 1), inside), tf.reduce_sum(inside, axis=1)


def _resampled(image: Any, length: Any, wanted: int) -> Any:
    """The image with `wanted` rows, by a triangle filter.

    Args:
        image: uint8 (H, W, C).
        length: how many of its rows are the picture, float64: the last one may be so only in part.
        wanted: number of rows.
    """
    height = tf.shape(image)[0]
    scale = length / wanted
    reach = tf.maximum(scale, 1.0)
    centre = (tf.range(wanted, dtype=tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centre - reach + 0.5, tf.int32), 0)
    behind = tf.minimum(tf.cast(centre + reach + 0.5, tf.int32), height)
    rows = first[:, None] + tf.range(tf.reduce_max(behind - first))[None, :]
    distance = tf.abs(tf.cast(rows, tf.float64) - centre[:, None] + 0.5) / reach
    weights = tf.where(rows < behind[:, None], tf.maximum(1.0 - distance, 0.0), 0.0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    whole = tf.cast(0.5 + weights * 2.0**WEIGHT_BITS, tf.int32)
    sums = _weighted_rows(image, tf.minimum(rows, height - 1), whole) + (1 << (WEIGHT_BITS - 1))
    return tf.cast(tf.bitwise.right_shift(sums, WEIGHT_BITS), tf.uint8)


def _weighted_rows(image: Any, rows: Any, weights: Any) -> Any:
    """For each output row the weighted sum of its input rows.

    Args:
        image: (H, W, C).
        rows: indices of input rows, int32 (N, K).
        weights: int32 (N, K).

    Returns:
        int32 (N, W, C).
    """

    def term(index: Any) -> Any:
        return tf.cast(tf.gather(image, rows[:, index]), tf.int32) * weights[:, index, None, None]

    _, total = tf.while_loop(
        lambda index, _: index < tf.shape(rows)[1],
        lambda index, total: (index + 1, total + term(index)),
        (tf.constant(1), term(0)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, None])),
        parallel_iterations=1,
    )
    return total
