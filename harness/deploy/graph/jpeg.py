"""JPEG files in the graph, as `harness.data.decode` reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from harness.deploy.graph.exif import orientation
from harness.deploy.graph.octets import (
    begins,
    either,
    holds,
    large,
    number,
    octets,
    part,
    require,
    size,
    walk,
)
from harness.deploy.graph.picture import DAMAGED, Picture, Source, check_size

MARKERS = 20_000
"""Markers that may stand before the first scan; a file with more is refused."""
FRAME_MARKERS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE)
WITHOUT_LENGTH = (0x01, *range(0xD0, 0xDA))
"""Markers that stand alone, without a length behind them."""
SCAN = 0xDA
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""An Adobe marker that says nothing but that CMYK is stored inverted, which is how training reads it."""
XMP = b"http://ns.adobe.com/xap/1.0/\x00"
NUMBER_OF_IMAGES = 0xB001


class _Head(NamedTuple):
    """What stands before the first scan."""

    at: Any
    """Where the next marker begins, int64; −1 where the file ended too early."""
    scan: Any
    height: Any
    width: Any
    components: Any
    adobe: Any
    exif: Any
    xmp: Any
    several: Any
    """Scalar string: the directory of further images in the file."""
    gain_map: Any


def read(source: Source, size_wanted: tuple[int, int]) -> Picture:
    """The picture, already made smaller by a half, a quarter or an eighth if it is much too large."""
    head = _head(source.content)
    content = require(head.scan & (head.components > 0), source.name, DAMAGED, source.content)
    content = require(
        (head.components == 1) | (head.components == 3) | (head.components == 4),
        source.name,
        "is a JPEG with an unusual number of colours, which this model does not read; convert it to PNG.",
        content,
    )
    content = check_size(source._replace(content=content), head.height, head.width).content
    content = tf.cond(
        (head.components == 4) & ~head.adobe,
        lambda: tf.strings.join([part(content, 0, 2), ADOBE, part(content, 2, size(content))]),
        lambda: content,
    )
    pixels = tf.switch_case(_eighths(head, size_wanted), [_decoder(content, by) for by in (1, 2, 4, 8)])
    return Picture(pixels, orientation(head.exif, head.xmp))


def _decoder(content: Any, by: int) -> Any:
    return lambda: tf.io.decode_jpeg(content, channels=3, ratio=by, dct_method="INTEGER_ACCURATE")


def _eighths(head: _Head, wanted: tuple[int, int]) -> Any:
    """0 to 3: how often its sides are halved while it is decoded, as in `harness.data.decode`."""
    longer = max(wanted)
    shorter = tf.minimum(head.height, head.width)
    scale = shorter // (2 * longer)
    halved = tf.where(scale >= 8, 3, tf.where(scale >= 4, 2, tf.where(scale >= 2, 1, 0)))
    return tf.where((shorter > 4 * longer) & ~_is_multi_picture(head), halved, 0)


def _is_multi_picture(head: _Head) -> Any:
    """Whether Pillow takes the file for an MPO, which it does not decode at a smaller size."""
    data = head.several
    big = begins(data, b"MM\x00\x2a")
    is_tiff = big | begins(data, b"II\x2a\x00")
    directory = number(octets(data, 4, 4), big=big)
    count = tf.minimum(number(octets(data, directory, 2), big=big), (size(data) - directory - 2) // 12)
    entries = tf.io.decode_raw(part(data, directory + 2, 12 * count), tf.uint8)
    entries = tf.reshape(tf.cast(entries, tf.int64), (-1, 12))
    named = number(entries[:, 0:2], big=big) == NUMBER_OF_IMAGES
    images = number(entries[:, 8:12], big=big)
    return is_tiff & tf.reduce_any(named & (images > 1)) & ~head.gain_map


def _head(content: Any) -> _Head:
    """Walk the markers up to the first scan."""
    empty = tf.constant(b"")
    no, none = tf.constant(False), tf.constant(0, tf.int64)
    start = _Head(tf.constant(2, tf.int64), no, none, none, none, no, empty, empty, empty, no)

    def step(head: _Head) -> _Head:
        here = octets(content, head.at, 4)
        is_marker, code, length = here[0] == 0xFF, here[1], large(here[2:4])
        padding = ~is_marker | (code == 0xFF)
        alone = (code == 0) | tf.reduce_any(code == tf.constant(WITHOUT_LENGTH, tf.int64))
        ahead = either(padding, 1, either(alone, 2, 2 + length))
        lost = (head.at + ahead >= size(content)) | (~padding & ~alone & (length < 2))
        has_data = ~padding & ~alone
        moved = head._replace(at=either(lost, -1, head.at + ahead), scan=has_data & (code == SCAN))
        interesting = has_data & ((code == 0xE1) | (code == 0xE2) | (code == 0xEE) | _is_frame(code))
        noted: _Head = tf.cond(
            interesting, lambda: _noted(moved, content, head.at, code, length), lambda: moved
        )
        return noted

    return walk(start, lambda head: ~head.scan & (head.at >= 0), step, most=MARKERS)


def _is_frame(code: Any) -> Any:
    return tf.reduce_any(code == tf.constant(FRAME_MARKERS, tf.int64))


def _noted(head: _Head, content: Any, at: Any, code: Any, length: Any) -> _Head:
    """The head with what this segment says."""
    data = part(content, at + 4, length - 2)
    frame = octets(data, 0, 6)
    is_frame = _is_frame(code)
    is_exif = (code == 0xE1) & begins(data, b"Exif\0\0")
    is_xmp = (code == 0xE1) & begins(data, XMP)
    is_several = (code == 0xE2) & begins(data, b"MPF\0")
    empty = tf.constant(b"")
    return head._replace(
        height=tf.where(is_frame, large(frame[1:3]), head.height),
        width=tf.where(is_frame, large(frame[3:5]), head.width),
        components=tf.where(is_frame, frame[5], head.components),
        adobe=head.adobe | ((code == 0xEE) & begins(data, b"Adobe")),
        exif=tf.strings.join([head.exif, tf.where(is_exif, part(data, 6, length), empty)]),
        xmp=tf.where(is_xmp, part(data, len(XMP), length), head.xmp),
        several=tf.where(is_several, part(data, 4, length), head.several),
        gain_map=head.gain_map | ((code == 0xE1) & holds(data, ' hdrgm:Version="')),
    )
