"""The first picture of GIF files in the graph, as `harness.data.decode` reads it.

TensorFlow's own decoder knows neither transparency nor pictures smaller than their canvas. So it is given
a file whose picture fills it, with a palette in which what is transparent is white.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from harness.deploy.graph.colour import on_canvas
from harness.deploy.graph.octets import as_bytes, either, little, octets, part, require, size, walk, written
from harness.deploy.graph.picture import DAMAGED, Picture, Source, check_size

EXTENSIONS = 10_000
"""Extensions that may stand before the first picture; a file with more is refused."""
BLOCKS = 300_000
"""Blocks of at most 255 bytes that a picture or an extension may have; a file with more is refused."""
IMAGE, EXTENSION, TRANSPARENCY = 0x2C, 0x21, 0xF9
HAS_PALETTE, INTERLACED = 0x80, 0x40
NONE = -1
COLOURS = 256


ONE_PIXEL = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
"""A second picture, of one pixel."""


class _Start(NamedTuple):
    """What stands before the first picture."""

    at: Any
    """Where the next block begins, int64; −1 where the file ended too early."""
    found: Any
    clear: Any
    """The transparent colour's index, −1 without one."""


def read(source: Source) -> Picture:
    """The first picture on its canvas; outside of it the canvas has the colour that Pillow gives it."""
    content = source.content
    screen = octets(content, 6, 7)
    palette_at = tf.constant(13, tf.int64)
    start = _first_picture(content, palette_at + _palette_bytes(screen[4]))
    content = require(start.found, source.name, DAMAGED, content)
    box = octets(content, start.at + 1, 9)
    left, top, width, height = (little(box[index : index + 2]) for index in (0, 2, 4, 6))
    flags = box[8]
    canvas_height = tf.maximum(little(screen[2:4]), top + height)
    canvas_width = tf.maximum(little(screen[0:2]), left + width)
    content = check_size(source._replace(content=content), canvas_height, canvas_width).content
    content = require(width * height > 0, source.name, "has no pixels.", content)

    local = _has(flags, HAS_PALETTE)
    palette = tf.cond(
        local,
        lambda: _palette(content, start.at + 10, flags),
        lambda: _palette(content, palette_at, screen[4]),
    )
    clear_row = tf.cast(tf.range(COLOURS), tf.int64) == start.clear
    palette = either(clear_row[:, None], 255, palette)
    data_at = start.at + 10 + _palette_bytes(flags)
    data_end = _end_of_blocks(content, data_at + 1)
    content = require(data_end >= 0, source.name, DAMAGED, content)
    alone = tf.strings.join(
        [
            b"GIF89a",
            written(width, 2),
            written(height, 2),
            b"\xf7\x00\x00",
            as_bytes(tf.reshape(palette, (-1,))),
            b"\x2c\x00\x00\x00\x00",
            written(width, 2),
            written(height, 2),
            written(tf.bitwise.bitwise_and(flags, INTERLACED), 1),
            part(content, data_at, data_end - data_at),
            ONE_PIXEL,
            b";",
        ]
    )
    pictures = tf.io.decode_gif(alone)
    # TensorFlow answers for a damaged picture with what it has, but it does not come to the next one.
    pixels = require(tf.shape(pictures)[0] == 2, source.name, DAMAGED, pictures[0])
    around = tf.cast(either(start.clear >= 0, 255, palette[0]), tf.uint8)
    whole = on_canvas(pixels, (top, left), (canvas_height, canvas_width), around)
    return Picture(whole, tf.constant(1))


def _has(flags: Any, bit: int) -> Any:
    return tf.bitwise.bitwise_and(flags, bit) > 0


def _palette_bytes(flags: Any) -> Any:
    """Length of the palette that these flags announce."""
    colours = tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.bitwise.bitwise_and(flags, 7))
    return either(_has(flags, HAS_PALETTE), 3 * colours, 0)


def _palette(content: Any, at: Any, flags: Any) -> Any:
    """256 colours, int64 (256, 3): shades of grey without a palette, black beyond the end of one."""
    found = tf.io.decode_raw(part(content, at, _palette_bytes(flags)), tf.uint8)
    found = tf.reshape(tf.cast(found[: tf.shape(found)[0] // 3 * 3], tf.int64), (-1, 3))
    shades = tf.repeat(tf.range(COLOURS, dtype=tf.int64)[:, None], 3, axis=1)
    padded = tf.pad(found, [[0, COLOURS - tf.shape(found)[0]], [0, 0]])
    return tf.ensure_shape(tf.where(_has(flags, HAS_PALETTE), padded, shades), (COLOURS, 3))


def _first_picture(content: Any, at: Any) -> _Start:
    """Walk the extensions in front of the first picture."""

    def step(start: _Start) -> _Start:
        head = octets(content, start.at, 7)
        is_extension = head[0] == EXTENSION
        says_clear = is_extension & (head[1] == TRANSPARENCY) & (head[2] >= 4) & (head[3] % 2 == 1)
        behind = tf.cond(
            is_extension,
            lambda: _end_of_blocks(content, start.at + 2),
            lambda: either(head[0] == 0, start.at + 1, NONE),
        )
        behind = either(behind >= size(content), NONE, behind)
        found = head[0] == IMAGE
        return _Start(either(found, start.at, behind), found, either(says_clear, head[6], start.clear))

    nothing = _Start(at, tf.constant(False), tf.constant(NONE, tf.int64))
    return walk(nothing, lambda start: ~start.found & (start.at >= 0), step, most=EXTENSIONS)


def _end_of_blocks(content: Any, at: Any) -> Any:
    """Where a chain of data blocks that begins at `at` is over; −1 if the file ends before."""
    end = size(content)

    def step(state: tuple[Any, Any]) -> tuple[Any, Any]:
        at, _ = state
        length = octets(content, at, 1)[0]
        behind = at + 1 + length
        lost = (at >= end) | (behind > end)
        return either(lost, NONE, behind), lost | (length == 0)

    at, ended = walk((at, tf.constant(False)), lambda state: ~state[1], step, most=BLOCKS)
    return either(ended, at, NONE)
