"""One image file's bytes to the pixels that training saw of it.

`harness.data.decode.decode` is the definition. This is the same in TensorFlow's operations, so that it can
be part of an exported model: formats from the content, EXIF orientation applied, transparency laid on white,
16 bits scaled as in training, Pillow's grey and Pillow's resizing. What cannot be read like that is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from harness.data.decode import MAX_PIXELS
from harness.deploy.graph import bmp, gif, jpeg, png, webp
from harness.deploy.graph.colour import grey, upright
from harness.deploy.graph.octets import begins, either, part, require, size
from harness.deploy.graph.picture import Picture, Source
from harness.deploy.graph.resize import resize

READ = ("JPEG", "PNG", "GIF", "BMP", "WebP")
"""The formats that the graph reads."""


@dataclass(frozen=True, slots=True)
class Target:
    """What every image becomes."""

    height: int
    width: int
    channels: int
    """1 or 3."""
    pixel_range: tuple[float, float] | None = None
    """Values of 16-bit files that become 0 and 255; None for the high byte."""
    max_pixels: int = MAX_PIXELS
    """Files of more pixels are refused."""


def decode_batch(contents: Any, target: Target) -> Any:
    """Image files of any formats and sizes to one batch of pixels.

    Args:
        contents: string (N,), the bytes of one image file each.
        target: size and colours.

    Returns:
        uint8 (N, height, width, channels).

    Raises:
        tf.errors.InvalidArgumentError: when it is run on something that cannot be read; it says which of
            the images, why, and what to do.
    """

    def one(item: tuple[Any, Any]) -> Any:
        index, content = item
        name = tf.strings.join(["image_bytes[", tf.strings.as_string(index), "]"])
        return decode(Source(content, name, target.max_pixels), target)

    with tf.device("CPU"):
        spec = tf.TensorSpec((target.height, target.width, target.channels), tf.uint8)
        return tf.map_fn(one, (tf.range(tf.shape(contents)[0]), contents), fn_output_signature=spec)


def decode(source: Source, target: Target) -> Any:
    """One image file to uint8 (height, width, channels)."""
    wanted = (target.height, target.width)
    content = require(size(source.content) > 0, source.name, "is empty.", source.content)
    source = source._replace(content=content)
    readers = [
        lambda: jpeg.read(source, wanted),
        lambda: png.read(source, target.channels, target.pixel_range),
        lambda: gif.read(source),
        lambda: bmp.read(source),
        lambda: webp.read(source),
    ]
    picture = tf.switch_case(_format(content), readers, default=lambda: _refused(source))
    pixels = grey(picture.pixels) if target.channels == 1 else picture.pixels
    resized = resize(upright(pixels, picture.orientation), wanted)
    return tf.ensure_shape(resized, (*wanted, target.channels))


def _format(content: Any) -> Any:
    """Index into `READ`; as many as it has for any other."""
    found = tf.stack(
        [
            begins(content, b"\xff\xd8\xff"),
            begins(content, b"\x89PNG\r\n\x1a\n"),
            begins(content, b"GIF87a") | begins(content, b"GIF89a"),
            begins(content, b"BM"),
            begins(content, b"RIFF") & begins(content, b"WEBP", at=8),
        ]
    )
    return tf.where(tf.reduce_any(found), tf.cast(tf.argmax(found), tf.int32), len(READ))


def _refused(source: Source) -> Picture:
    """Never returns pixels: a file of a format that the graph does not read."""
    content = source.content
    named = tf.stack(
        [
            begins(content, b"II*\0") | begins(content, b"MM\0*") | begins(content, b"II+\0"),
            (part(content, 0, 1) == b"P") & tf.strings.regex_full_match(part(content, 1, 1), "[0-9fFy]"),
            begins(content, b"ftyp", at=4),
            begins(content, b"\xff\x0a") | begins(content, b"JXL ", at=4),
            begins(content, b"%PDF"),
            begins(content, b"<"),
        ]
    )
    names = [
        "a TIFF file",
        "a PPM file",
        "a HEIC, AVIF or video file",
        "a JPEG XL file",
        "a PDF file",
        "text",
    ]
    which = either(tf.reduce_any(named), tf.argmax(named), len(names))
    kind = tf.gather(tf.constant([*names, f"none of {', '.join(READ)}, or damaged"]), which)
    sentence = tf.strings.join(["is ", kind, ", which this model does not read; convert it to PNG or JPEG."])
    content = require(tf.constant(False), source.name, sentence, content)
    nothing = tf.zeros(tf.stack([tf.strings.length(content), 1, 3]), tf.uint8)
    return Picture(nothing, tf.constant(1))
