"""Which way up a picture is: the orientation that its EXIF or XMP data gives.

The rules are those of Pillow's `Image.getexif`, oddities included: entries behind one that cannot be read
count as absent, and XMP is asked only where EXIF says nothing.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from harness.deploy.graph.octets import begins, either, holds, number, octets, part, size

ORIENTATION = 0x0112
UPRIGHT = 1
BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)
"""Bytes of one value, by TIFF's number of its type; 0 where there is no such type."""
WHOLE_NUMBERS = (3, 4, 6, 8, 9, 13, 16)
TIFF_HEADS = (b"MM\x00\x2a", b"II\x2a\x00", b"MM\x2a\x00", b"II\x00\x2a")
XMP_PATTERN = 'tiff:Orientation(?:="|>)[0-9]'


def orientation(exif: Any, xmp: Any) -> Any:
    """1 to 8 as EXIF counts; 1 where nothing is said, or nothing that can be understood.

    Args:
        exif: scalar string, a TIFF structure, with or without `Exif\\0\\0` before it; may be empty.
        xmp: scalar string, may be empty.
    """
    named, value = _of_exif(exif)
    return tf.cond(named, lambda: value, lambda: _of_xmp(xmp))


def _of_xmp(xmp: Any) -> Any:
    digit = tf.strings.regex_replace(xmp, r'(?s)^\C*?tiff:Orientation(?:="|>)([0-9])\C*$', r"\1")
    return tf.cond(
        holds(xmp, XMP_PATTERN),
        lambda: tf.cast(tf.strings.to_number(digit, tf.int64), tf.int32),
        lambda: tf.constant(UPRIGHT),
    )


def _of_exif(exif: Any) -> tuple[Any, Any]:
    """Whether there is such an entry, and its value, 1 if it is not a whole number."""
    for _ in range(2):  # some write the prefix twice
        exif = part(exif, either(begins(exif, b"Exif\0\0"), 6, 0), size(exif))
    is_tiff = tf.reduce_any([begins(exif, head) for head in TIFF_HEADS])
    # Where EXIF data is there but damaged, nothing else is asked.
    found: tuple[Any, Any] = tf.cond(
        is_tiff, lambda: _of_tiff(exif), lambda: (size(exif) > 0, tf.constant(UPRIGHT))
    )
    return found


def _of_tiff(data: Any) -> tuple[Any, Any]:
    big = begins(data, b"MM")
    end = size(data)
    directory = number(octets(data, 4, 4), big=big)
    there = (end - directory - 2) // 12
    count = tf.maximum(tf.minimum(number(octets(data, directory, 2), big=big), there), 0)
    entries = tf.io.decode_raw(part(data, directory + 2, 12 * count), tf.uint8)
    entries = tf.reshape(tf.cast(entries, tf.int64), (-1, 12))

    tag, kind = number(entries[:, 0:2], big=big), number(entries[:, 2:4], big=big)
    known = either(kind < len(BYTES_OF_TYPE), kind, 0)
    unit = tf.gather(tf.constant(BYTES_OF_TYPE, tf.int64), known)
    length = number(entries[:, 4:8], big=big) * unit
    elsewhere = length > 4
    position = number(entries[:, 8:12], big=big)
    passed_over = elsewhere & (tf.cumsum(either(elsewhere, length, 0)) > end)
    unreadable = elsewhere & ~passed_over & (position + length > end)
    reached = tf.cumsum(tf.cast(unreadable, tf.int32)) == 0
    found = (tag == ORIENTATION) & (length > 0) & ~passed_over & reached

    def value() -> Any:
        index = tf.argmax(found)
        inside = entries[index, 8:12]
        outside = octets(data, position[index], 8)
        values = tf.where(elsewhere[index], outside, tf.pad(inside, [[0, 4]]))
        whole = tf.reduce_any(kind[index] == tf.constant(WHOLE_NUMBERS, tf.int64))
        read = tf.switch_case(
            tf.cast(unit[index] // 2, tf.int32),
            [
                lambda: number(values[:1], big=big),
                lambda: number(values[:2], big=big),
                lambda: number(values[:4], big=big),
            ],
            default=lambda: number(values, big=big),
        )
        return tf.cast(either(whole & (read > 0) & (read <= 8), read, UPRIGHT), tf.int32)

    return tf.reduce_any(found), tf.cond(tf.reduce_any(found), value, lambda: tf.constant(UPRIGHT))
