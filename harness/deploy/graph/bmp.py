"""BMP files in the graph, as `harness.data.decode` reads them: every layout but run-length coding."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from harness.deploy.graph.colour import on_white
from harness.deploy.graph.octets import either, little, octets, part, require, size
from harness.deploy.graph.picture import DAMAGED, Picture, Source, check_size

CORE_HEADER = 12
"""Bytes of OS/2's old header, whose sizes have two bytes."""
HEADERS = (CORE_HEADER, 40, 52, 56, 64, 108, 124)
PLAIN, BIT_FIELDS = 0, 3
COLOURS = 256
OPAQUE = -1
ORDERS: tuple[tuple[tuple[int, int, int, int], tuple[int, int, int, int]], ...] = (
    ((0xFF0000, 0xFF00, 0xFF, 0x0), (2, 1, 0, OPAQUE)),
    ((0xFF000000, 0xFF0000, 0xFF00, 0x0), (3, 2, 1, OPAQUE)),
    ((0xFF000000, 0xFF00, 0xFF, 0x0), (3, 1, 0, OPAQUE)),
    ((0xFF000000, 0xFF0000, 0xFF00, 0xFF), (3, 2, 1, 0)),
    ((0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0, 1, 2, 3)),
    ((0xFF0000, 0xFF00, 0xFF, 0xFF000000), (2, 1, 0, 3)),
    ((0xFF000000, 0xFF00, 0xFF, 0xFF0000), (3, 1, 0, 2)),
    ((0x0, 0x0, 0x0, 0x0), (2, 1, 0, 3)),
)
"""Masks of red, green, blue and alpha in 32 bits, and which byte each of them is."""


def read(source: Source) -> Picture:
    """The picture; transparency, which only 32 bits with masks have, laid on white."""
    content = source.content
    start = octets(content, 10, 4)
    header = octets(content, 14, 60)
    length = little(header[0:4])
    is_core = length == CORE_HEADER
    width = either(is_core, little(header[4:6]), little(header[4:8]))
    stored_height = little(header[8:12])
    from_top = ~is_core & (header[11] == 0xFF)
    height = either(from_top, 2**32 - stored_height, stored_height)
    height = either(is_core, little(header[6:8]), height)
    depth = either(is_core, little(header[10:12]), little(header[14:16]))
    packing = either(is_core, PLAIN, little(header[16:20]))
    masks = tf.stack([little(header[at : at + 4]) for at in (40, 44, 48, 52)])
    masks *= either(length >= 56, [1, 1, 1, 1], [1, 1, 1, 0])
    layout = _layout(depth, packing, masks)
    content = require(
        (layout >= 0) & tf.reduce_any(length == tf.constant(HEADERS, tf.int64)),
        source.name,
        "is a BMP file that is compressed or laid out in a way this model does not read; convert it to PNG.",
        content,
    )
    content = check_size(source._replace(content=content), height, width).content

    stride = tf.bitwise.bitwise_and(tf.bitwise.right_shift(width * depth + 31, 3), ~3)
    entry = either(is_core, 3, 4)
    said = either(is_core, 0, little(header[32:36]))
    colours = either(said > 0, said, tf.bitwise.left_shift(tf.constant(1, tf.int64), depth))
    palette_at = 14 + length
    palette = _palette(content, palette_at, entry, colours)
    said_at = little(start)
    behind_palette = palette_at + either(depth <= 8, entry * colours, 0)
    data_at = either((said_at == 0) | (said_at == palette_at), behind_palette, said_at)
    padding = stride - (width * depth + 7) // 8  # of the last row, which some leave out
    enough = data_at + stride * height - padding <= size(content)
    content = require(enough, source.name, DAMAGED, content)
    rows = tf.io.decode_raw(part(content, data_at, stride * height), tf.uint8)
    missing = tf.cast(stride * height, tf.int32) - tf.shape(rows)[0]
    rows = tf.reshape(tf.pad(rows, [[0, missing]]), tf.stack([height, stride]))
    rows = tf.cond(from_top, lambda: rows, lambda: tf.reverse(rows, [0]))
    pixels = tf.switch_case(
        layout,
        [
            lambda: tf.gather(palette, _indices(rows, 1)[:, :width]),
            lambda: tf.gather(palette, _indices(rows, 4)[:, :width]),
            lambda: tf.gather(palette, tf.cast(rows[:, :width], tf.int32)),
            lambda: _sixteen_bits(rows, width, (5, 5, 5)),
            lambda: _sixteen_bits(rows, width, (5, 6, 5)),
            lambda: tf.reshape(rows[:, : 3 * width], tf.stack([height, width, 3]))[..., ::-1],
            *(_in_order(rows, width, order) for order in ((2, 1, 0, OPAQUE), *(one for _, one in ORDERS))),
        ],
    )
    return Picture(pixels, tf.constant(1))


def _layout(depth: Any, packing: Any, masks: Any) -> Any:
    """Which way the pixels are stored, an index into the branches of `read`; −1 for those not read."""
    plain = packing == PLAIN
    fields = packing == BIT_FIELDS
    usual = tf.reduce_all(masks[:3] == tf.constant([0xFF0000, 0xFF00, 0xFF], tf.int64))
    five_six_five = tf.reduce_all(masks[:3] == tf.constant([0xF800, 0x7E0, 0x1F], tf.int64))
    five_five_five = tf.reduce_all(masks[:3] == tf.constant([0x7C00, 0x3E0, 0x1F], tf.int64))
    cases = [
        plain & (depth == 1),
        plain & (depth == 4),
        plain & (depth == 8),
        (depth == 16) & (plain | (fields & five_five_five)),
        (depth == 16) & fields & five_six_five,
        (depth == 24) & (plain | (fields & usual)),
        (depth == 32) & plain,
        *(
            (depth == 32) & fields & tf.reduce_all(masks == tf.constant(known, tf.int64))
            for known, _ in ORDERS
        ),
    ]
    stacked = tf.stack(cases)
    return tf.where(tf.reduce_any(stacked), tf.cast(tf.argmax(stacked), tf.int32), -1)


def _palette(content: Any, at: Any, entry: Any, colours: Any) -> Any:
    """256 colours, uint8 (256, 3); black where the file says nothing."""
    found = tf.io.decode_raw(part(content, at, entry * tf.minimum(colours, COLOURS)), tf.uint8)
    length = tf.cast(entry, tf.int32)
    found = tf.reshape(found[: tf.shape(found)[0] // length * length], tf.stack([-1, length]))[:, 2::-1]
    return tf.ensure_shape(tf.pad(found, [[0, COLOURS - tf.shape(found)[0]], [0, 0]]), (COLOURS, 3))


def _indices(rows: Any, bits: int) -> Any:
    """Numbers of so many bits, the first in the highest bits; int32 (H, 8 / bits × stride)."""
    shifts = tf.range(8 - bits, -1, -bits)
    apart = tf.bitwise.right_shift(tf.cast(rows, tf.int32)[..., None], shifts)
    return tf.reshape(tf.bitwise.bitwise_and(apart, 2**bits - 1), tf.stack([tf.shape(rows)[0], -1]))


def _sixteen_bits(rows: Any, width: Any, bits: tuple[int, int, int]) -> Any:
    """Red, green and blue of so many bits in two bytes."""
    pairs = tf.reshape(tf.cast(rows[:, : 2 * width], tf.int32), tf.stack([tf.shape(rows)[0], -1, 2]))
    values = pairs[..., 0] + 256 * pairs[..., 1]
    red, green, blue = bits
    stretched = [
        tf.bitwise.bitwise_and(tf.bitwise.right_shift(values, shift), 2**count - 1) * 255 // (2**count - 1)
        for count, shift in ((red, green + blue), (green, blue), (blue, 0))
    ]
    return tf.cast(tf.stack(stretched, axis=-1), tf.uint8)


def _in_order(rows: Any, width: Any, order: tuple[int, int, int, int]) -> Any:
    """A branch for four bytes a pixel, of which `order` says where red, green, blue and alpha are."""

    def branch() -> Any:
        pixels = tf.reshape(rows[:, : 4 * width], tf.stack([tf.shape(rows)[0], -1, 4]))
        present = tf.gather(pixels, [at for at in order if at != OPAQUE], axis=-1)
        return on_white(present) if OPAQUE not in order else present

    return branch
