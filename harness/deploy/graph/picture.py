"""What every format is decoded to before it is turned, made grey and resized."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from harness.deploy.graph.octets import require

DAMAGED = "is damaged or cut off, so it cannot be read."


class Source(NamedTuple):
    """One image file."""

    content: Any
    """Scalar string."""
    name: Any
    """Scalar string by which a refusal calls it."""
    max_pixels: int
    """A larger image is refused from its header."""


class Picture(NamedTuple):
    """Pixels as they are stored, and how to turn them."""

    pixels: Any
    """The pixels, uint8 (H, W, 3), transparency laid on white."""
    orientation: Any
    """How the pixels are to be turned, int32: 1 to 8 as EXIF counts."""


def check_size(source: Source, height: Any, width: Any) -> Source:
    """The source, unless its header claims no pixels, or too many."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    content = require(pixels > 0, source.name, "has no pixels.", source.content)
    claim = tf.strings.join(
        ["claims ", tf.strings.as_string(pixels), f" pixels; at most {source.max_pixels:,} are accepted."]
    )
    content = require(pixels <= source.max_pixels, source.name, claim, content)
    return source._replace(content=content)
