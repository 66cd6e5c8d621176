"""Pixels after decoding: transparency laid on white, grey made of colour, pictures turned upright.

All with the integers that Pillow calculates with.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

RED, GREEN, BLUE = 19595, 38470, 7471
"""Of 65,536: how bright each is."""


def on_white(image: Any) -> Any:
    """RGBA uint8 (H, W, 4) to RGB: what Pillow's `alpha_composite` leaves on opaque white."""
    values = tf.cast(image, tf.int32)
    share = values[..., 3:] * 128
    mixed = values[..., :3] * share + 255 * (255 * 128 - share) + 128 * 128
    mixed = tf.bitwise.right_shift(mixed + tf.bitwise.right_shift(mixed, 8), 8)
    return tf.cast(tf.bitwise.right_shift(mixed, 7), tf.uint8)


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
