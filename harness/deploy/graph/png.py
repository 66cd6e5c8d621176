"""PNG files in the graph, as `harness.data.decode` reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from harness.deploy.graph.colour import on_white
from harness.deploy.graph.exif import orientation
from harness.deploy.graph.octets import begins, either, large, octets, part, require, size, walk
from harness.deploy.graph.picture import DAMAGED, Picture, Source, check_size

CHUNKS = 100_000
"""Chunks that a file may have; one with more of them is refused."""
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last chunk, which files that were cut off may lack while their pixels are all there."""
XMP = b"XML:com.adobe.xmp\x00"
RAW_PROFILE = b"Raw profile type exif\x00"
"""How ImageMagick stores EXIF data: as hexadecimal text."""


class _Chunks(NamedTuple):
    """What stands in a PNG's chunks."""

    at: Any
    """Behind the last whole chunk, int64."""
    cut_off: Any
    ended: Any
    has_pixels: Any
    transparency: Any
    """Scalar string: the data of `tRNS`."""
    exif: Any
    raw_profile: Any
    xmp: Any


def read(source: Source, channels: int, pixel_range: tuple[float, float] | None) -> Picture:
    """The picture; where it has 16 bits, `pixel_range` becomes 0 to 255."""
    header = octets(source.content, 16, 10)
    source = check_size(source, large(header[4:8]), large(header[0:4]))
    depth, kind = header[8], header[9]
    chunks = _chunks(source.content)
    nearly_whole = chunks.ended | (size(source.content) - chunks.at < len(END))
    content = require(chunks.has_pixels & nearly_whole, source.name, DAMAGED, source.content)
    content = tf.cond(
        chunks.ended, lambda: content, lambda: tf.strings.join([part(content, 0, chunks.at), END])
    )
    pixels = tf.cond(
        depth == 16,
        lambda: _sixteen_bits(content, kind, chunks.transparency, pixel_range),
        lambda: _eight_bits(content, kind, depth, chunks.transparency, channels),
    )
    exif = tf.cond(
        (size(chunks.exif) == 0) & (size(chunks.raw_profile) > 0),
        lambda: _from_hexadecimal(chunks.raw_profile),
        lambda: chunks.exif,
    )
    return Picture(pixels, orientation(exif, chunks.xmp))


def _eight_bits(content: Any, kind: Any, depth: Any, transparency: Any, channels: int) -> Any:
    """RGB of a file with up to 8 bits a sample, laid on white."""
    has_key = size(transparency) > 0
    has_alpha = (kind == GREY_ALPHA) | (kind == COLOUR_ALPHA) | ((kind == PALETTE) & has_key)

    def opaque() -> Any:
        # Asked for four channels, TensorFlow gives less than 255 as the alpha of less than 8 bits.
        return tf.io.decode_png(content, channels=3)

    def keyed() -> Any:
        return _without_key(opaque(), _key(transparency, depth, kind))

    heeded = has_key & _heeds_key(depth, kind, channels)
    return tf.cond(
        has_alpha,
        lambda: on_white(tf.io.decode_png(content, channels=4)),
        lambda: tf.cond(heeded, keyed, opaque),
    )


def _sixteen_bits(content: Any, kind: Any, transparency: Any, pixel_range: tuple[float, float] | None) -> Any:
    """RGB of a file with 16 bits a sample, laid on white; without a range, of the upper bytes."""
    values = tf.io.decode_png(content, channels=4, dtype=tf.uint16)
    colours, alpha = values[..., :3], values[..., 3:]
    upper_byte = tf.constant(256, tf.uint16)
    shown = _spread(colours, pixel_range) if pixel_range else tf.cast(colours // upper_byte, tf.uint8)
    opacity = tf.cond(
        kind == GREY_ALPHA,
        lambda: tf.cast(alpha // upper_byte, tf.uint8),
        lambda: _spread(alpha, (0.0, 65535.0)),
    )
    blended = on_white(tf.concat([shown, opacity], axis=-1))
    key = large(tf.reshape(octets(transparency, 0, 6), (3, 2)))
    key = tf.where(kind == GREY, key[:1], key)
    is_key = tf.reduce_all(tf.cast(colours, tf.int64) == key, axis=-1, keepdims=True)
    has_key = (size(transparency) > 0) & ((kind == GREY) | (kind == COLOUR))
    has_alpha = (kind == GREY_ALPHA) | (kind == COLOUR_ALPHA)
    opaque = tf.where(has_key & is_key, tf.constant(255, tf.uint8), shown)
    return tf.where(has_alpha, blended, opaque)


def _spread(values: Any, pixel_range: tuple[float, float]) -> Any:
    """The range spread over 0…255, uint8; what lies outside is clipped."""
    low, high = pixel_range
    scaled = tf.round((tf.cast(values, tf.float64) - low) * (255.0 / (high - low)))
    return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)


def _heeds_key(depth: Any, kind: Any, channels: int) -> Any:
    """Whether training lays a picture with one transparent colour on white.

    It does where the picture's mode has to be changed, and not where it has the model's colours already.
    """
    if channels == 1:
        return ((kind == GREY) & (depth == 1)) | (kind == COLOUR)
    return kind == GREY


def _key(transparency: Any, depth: Any, kind: Any) -> Any:
    """The transparent colour as 8-bit red, green and blue, int64 (3,)."""
    values = octets(transparency, 0, 6)
    low_bytes = tf.stack([values[1], values[3], values[5]])
    grey = either(depth == 1, either(large(values[0:2]) > 0, 255, 0), values[1])
    return tf.where(kind == GREY, tf.stack([grey, grey, grey]), low_bytes)


def _without_key(pixels: Any, key: Any) -> Any:
    """White where a pixel has exactly this colour."""
    clear = tf.reduce_all(tf.cast(pixels, tf.int64) == key, axis=-1, keepdims=True)
    return tf.where(clear, tf.constant(255, tf.uint8), pixels)


def _chunks(content: Any) -> _Chunks:
    """Walk all chunks."""
    empty, no = tf.constant(b""), tf.constant(False)
    start = _Chunks(tf.constant(8, tf.int64), no, no, no, empty, empty, empty, empty)
    end = size(content)

    def step(chunks: _Chunks) -> _Chunks:
        head = octets(content, chunks.at, 8)
        length = large(head[0:4])
        name = part(content, chunks.at + 4, 4)
        whole = chunks.at + 12 + length <= end
        moved = chunks._replace(
            at=tf.where(whole, chunks.at + 12 + length, chunks.at),
            cut_off=~whole,
            ended=whole & (name == b"IEND"),
            has_pixels=chunks.has_pixels | (name == b"IDAT"),
        )
        interesting = tf.reduce_any(name == tf.constant([b"tRNS", b"eXIf", b"tEXt", b"zTXt", b"iTXt"]))
        data_at = chunks.at + 8
        noted: _Chunks = tf.cond(
            interesting & whole,
            lambda: _noted(moved, name, part(content, data_at, length)),
            lambda: moved,
        )
        return noted

    def goes_on(chunks: _Chunks) -> Any:
        return ~chunks.ended & ~chunks.cut_off & (chunks.at < end)

    return walk(start, goes_on, step, most=CHUNKS)


def _noted(chunks: _Chunks, name: Any, data: Any) -> _Chunks:
    """The chunks seen so far, with what this one says."""
    is_profile = begins(data, RAW_PROFILE)
    text = part(data, len(RAW_PROFILE), size(data))
    return chunks._replace(
        transparency=tf.where((name == b"tRNS") & ~chunks.has_pixels, data, chunks.transparency),
        exif=tf.where(name == b"eXIf", data, chunks.exif),
        raw_profile=tf.cond(
            is_profile & (name == b"zTXt"),
            lambda: tf.io.decode_compressed(part(text, 1, size(text)), "ZLIB"),
            lambda: tf.where(is_profile & (name == b"tEXt"), text, chunks.raw_profile),
        ),
        xmp=tf.cond(begins(data, XMP) & (name == b"iTXt"), lambda: _international(data), lambda: chunks.xmp),
    )


def _international(data: Any) -> Any:
    """The text of an `iTXt` chunk, whose keyword is XMP's."""
    flags = octets(data, len(XMP), 2)
    rest = part(data, len(XMP) + 2, size(data))
    # Behind the language and the translated keyword.
    text = tf.strings.regex_replace(rest, r"(?s)^[^\x00]*\x00[^\x00]*\x00(\C*)$", r"\1")
    return tf.cond(flags[0] > 0, lambda: tf.io.decode_compressed(text, "ZLIB"), lambda: text)


def _from_hexadecimal(profile: Any) -> Any:
    """The bytes of ImageMagick's text: a line break, a name, a length, then lines of digits."""
    digits = tf.strings.regex_replace(profile, r"^[^\n]*\n[^\n]*\n[^\n]*\n", "")
    codes = tf.cast(tf.io.decode_raw(tf.strings.regex_replace(digits, r"\s", ""), tf.uint8), tf.int64)
    values = tf.where(codes >= 97, codes - 87, tf.where(codes >= 65, codes - 55, codes - 48))
    values = tf.bitwise.bitwise_and(values[: tf.shape(values)[0] // 2 * 2], 15)
    pairs = tf.reshape(values, (-1, 2))
    return tf.strings.reduce_join(
        tf.gather(tf.constant([bytes([value]) for value in range(256)]), pairs[:, 0] * 16 + pairs[:, 1])
    )
