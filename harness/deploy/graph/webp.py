"""WebP files in the graph, as `harness.data.decode` reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from harness.deploy.graph.colour import on_canvas, on_white
from harness.deploy.graph.exif import orientation
from harness.deploy.graph.octets import either, little, octets, part, require, size, walk, written
from harness.deploy.graph.picture import DAMAGED, Picture, Source, check_size

CHUNKS = 100_000
HEAD = 12
"""Bytes before the first chunk."""
FRAME_HEAD = 16
"""Bytes of a frame before its own chunks."""
ALPHA_FLAG, EXIF_FLAG, XMP_FLAG, ANIMATION_FLAG = 0x10, 0x08, 0x04, 0x02


class _Chunks(NamedTuple):
    """What stands in a WebP file's chunks."""

    at: Any
    """Where the next chunk begins, int64."""
    whole: Any
    canvas: Any
    """Scalar string: the data of `VP8X`; empty without."""
    frame: Any
    """Scalar string: the data of the first frame of an animation."""
    exif: Any
    xmp: Any


def read(source: Source) -> Picture:
    """The picture, or the first of an animation on its canvas."""
    chunks = _chunks(source.content)
    content = require(chunks.whole, source.name, DAMAGED, source.content)
    flags = octets(chunks.canvas, 0, 1)[0]
    is_animated = _has(flags, ANIMATION_FLAG)
    still = tf.cond(is_animated, lambda: _still(chunks), lambda: content)
    height, width, has_alpha = _head(still)
    box = octets(chunks.canvas, 4, 6)
    canvas = (
        either(is_animated, 1 + little(box[3:6]), height),
        either(is_animated, 1 + little(box[0:3]), width),
    )
    still = check_size(source._replace(content=still), height, width).content
    still = check_size(source._replace(content=still), *canvas).content
    pixels = tf.cond(has_alpha, lambda: on_white(_decoded(still, 4)), lambda: _decoded(still, 3))
    corner = octets(chunks.frame, 0, 6)
    around = tf.cast(either(_has(flags, ALPHA_FLAG), 255, 0), tf.uint8)
    pixels = on_canvas(pixels, (2 * little(corner[3:6]), 2 * little(corner[0:3])), canvas, around)
    exif = tf.where(_has(flags, EXIF_FLAG), chunks.exif, "")
    xmp = tf.where(_has(flags, XMP_FLAG), chunks.xmp, "")
    return Picture(pixels, orientation(exif, xmp))


def _has(flags: Any, bit: int) -> Any:
    return tf.bitwise.bitwise_and(flags, bit) > 0


def _head(content: Any) -> tuple[Any, Any, Any]:
    """Height, width and whether it has transparency, by the first chunk of a file of one picture."""
    name, head = part(content, HEAD, 4), octets(content, HEAD + 8, 10)
    is_extended, is_lossless = name == b"VP8X", name == b"VP8L"
    packed = little(head[1:5])  # 14 bits, 14 bits, and one for transparency
    width = either(is_lossless, 1 + packed % 2**14, little(head[6:8]) % 2**14)
    height = either(is_lossless, 1 + packed // 2**14 % 2**14, little(head[8:10]) % 2**14)
    has_alpha = tf.where(is_extended, _has(head[0], ALPHA_FLAG), is_lossless & (packed // 2**28 % 2 == 1))
    return (
        either(is_extended, 1 + little(head[7:10]), height),
        either(is_extended, 1 + little(head[4:7]), width),
        has_alpha,
    )


def _decoded(content: Any, channels: int) -> Any:
    pixels = tf.io.decode_image(content, channels=channels, expand_animations=False)
    return tf.ensure_shape(pixels, (None, None, channels))


def _still(chunks: _Chunks) -> Any:
    """A file of the first frame alone."""
    data = part(chunks.frame, FRAME_HEAD, size(chunks.frame))
    has_alpha = part(data, 0, 4) == b"ALPH"
    extension = tf.strings.join([b"VP8X", written(10, 4), written(ALPHA_FLAG, 4), part(chunks.frame, 6, 6)])
    body = tf.strings.join([tf.where(has_alpha, extension, tf.constant(b"")), data])
    return tf.strings.join([b"RIFF", written(size(body) + 4, 4), b"WEBP", body])


def _chunks(content: Any) -> _Chunks:
    """Walk all chunks."""
    empty = tf.constant(b"")
    end = size(content)
    said = little(octets(content, 4, 4)) + 8
    start = _Chunks(tf.constant(HEAD, tf.int64), said <= end, empty, empty, empty, empty)

    def step(chunks: _Chunks) -> _Chunks:
        length = little(octets(content, chunks.at + 4, 4))
        name = part(content, chunks.at, 4)
        data_at = chunks.at + 8

        def kept(wanted: bytes, before: Any) -> Any:
            is_it = (name == wanted) & (size(before) == 0)
            return tf.cond(is_it, lambda: part(content, data_at, length), lambda: before)

        return _Chunks(
            data_at + length + length % 2,
            chunks.whole & (data_at + length <= end),
            kept(b"VP8X", chunks.canvas),
            kept(b"ANMF", chunks.frame),
            kept(b"EXIF", chunks.exif),
            kept(b"XMP ", chunks.xmp),
        )

    return walk(start, lambda chunks: chunks.whole & (chunks.at + 8 <= said), step, most=CHUNKS)
