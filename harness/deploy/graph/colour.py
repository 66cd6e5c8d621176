"""Pixels after decoding: laid on white or on a canvas, made grey, turned upright.

All with the integers that Pillow calculates with.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

RED, GREEN, BLUE = 19595, 38470, 7471
"""How much each colour counts in grey, in parts of 65,536."""


def on_white(image: Any) -> Any:
    """RGBA uint8 (H, W, 4) to RGB: what Pillow's `alpha_composite` leaves on opaque white."""
    values = tf.cast(image, tf.int32)
    share = values[..., 3:] * 128
    mixed = values[..., :3] * share + 255 * (255 * 128 - share) + 128 * 128
    mixed = tf.bitwise.right_shift(mixed + tf.bitwise.right_shift(mixed, 8), 8)
    return tf.cast(tf.bitwise.right_shift(mixed, 7), tf.uint8)


def on_canvas(image: Any, corner: tuple[Any, Any], canvas: tuple[Any, Any], around: Any) -> Any:
    """The image in its place on a larger one.

    Args:
        image: uint8 (H, W, 3).
        corner: top and left of its place.
        canvas: height and width.
        around: colour of the rest, uint8, one value or three.
    """
    shape = tf.shape(image, tf.int64)
    edges = [
        [before, whole - before - shape[axis]]
        for axis, (before, whole) in enumerate(zip(corner, canvas, strict=True))
    ]

    def placed() -> Any:
        inside = tf.pad(tf.ones_like(image[..., :1], tf.bool), [*edges, [0, 0]])
        return tf.where(inside, tf.pad(image, [*edges, [0, 0]]), around)

    fills = (shape[0] == canvas[0]) & (shape[1] == canvas[1])
    return tf.cond(fills, lambda: image, placed)


def grey(image: Any) -> Any:
    """RGB uint8 (H, W, 3) to brightness uint8 (H, W, 1), rounded."""
    values = tf.cast(image, tf.int32)
    weights = tf.constant([RED, GREEN, BLUE])
    total = tf.reduce_sum(values * weights, axis=-1, keepdims=True) + 0x8000
    return tf.cast(tf.bitwise.right_shift(total, 16), tf.uint8)


def upright(image: Any, orientation: Any) -> Any:
    """The image (H, W, C) turned and mirrored as an EXIF orientation says; others than 2 to 8 say nothing."""

    def turned(one: Any) -> Any:
        return tf.transpose(one, (1, 0, 2))

    return tf.switch_case(
        tf.where((orientation >= 1) & (orientation <= 8), orientation - 1, 0),
        [
            lambda: image,
            lambda: tf.reverse(image, [1]),
            lambda: tf.reverse(image, [0, 1]),
            lambda: tf.reverse(image, [0]),
            lambda: turned(image),
            lambda: tf.reverse(turned(image), [1]),
            lambda: tf.reverse(turned(image), [0, 1]),
            lambda: tf.reverse(turned(image), [0]),
        ],
    )
