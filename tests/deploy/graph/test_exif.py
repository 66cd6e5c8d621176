"""The orientation that the graph finds is the one that Pillow finds, whatever the data looks like."""

from __future__ import annotations

import struct
import warnings
from functools import cache
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.deploy.graph.exif import ORIENTATION, orientation
from tests.deploy.image_files import tiff_of

pytestmark = pytest.mark.slow

FRACTIONS = (5, 10, 11, 12)
"""Types of values that are no whole numbers, which nobody writes an orientation in."""
tags = st.sampled_from([ORIENTATION, ORIENTATION, 0x010F, 0x0110, 0x011A, 0x8769]) | st.integers(0, 65535)
kinds = st.sampled_from([3, 3, 3, 4, 2]) | st.integers(0, 20)
counts = st.sampled_from([1, 1, 1, 0, 2, 3, 20]) | st.integers(0, 2**32 - 1)
values = st.integers(0, 9) | st.integers(0, 120) | st.integers(0, 2**32 - 1)
entry_lists = st.lists(st.tuples(tags, kinds, counts, values, st.booleans()), max_size=6)
xmps = st.sampled_from(
    [b"", b"", b'<a tiff:Orientation="8"/>', b"\xff\xfe<tiff:Orientation>3</tiff:Orientation>\n\x80"]
) | st.binary(max_size=40)


@cache
def compiled() -> Any:
    return tf.function(orientation, input_signature=[tf.TensorSpec((), tf.string)] * 2, autograph=False)


def by_pillow(exif: bytes, xmp: bytes) -> Any:
    image = Image.new("RGB", (1, 1))
    image.info |= {"exif": exif} if exif else {}
    image.info |= {"xmp": xmp} if xmp else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return image.getexif().get(ORIENTATION, 1)


@settings(max_examples=400, deadline=None)
@given(
    entries=entry_lists,
    big=st.booleans(),
    at=st.sampled_from([8, 8, 10, 26]),
    tail=st.binary(max_size=100),
    cut=st.integers(0, 60) | st.none(),
    prefixes=st.sampled_from([0, 0, 1, 2]),
    xmp=xmps,
)
@example(
    entries=[(ORIENTATION, 3, 1, 6 << 16, True)], big=True, at=8, tail=b"", cut=None, prefixes=1, xmp=b""
)
@example(entries=[], big=False, at=8, tail=b"", cut=0, prefixes=0, xmp=b'tiff:Orientation="6"')
@example(  # the maker's name lies beyond the end, so nothing behind it is read
    entries=[(0x010F, 2, 90, 5000, True), (ORIENTATION, 3, 1, 6 << 16, True)],
    big=True, at=8, tail=b"", cut=None, prefixes=0, xmp=b"",
)  # fmt: skip
def test_the_orientation_is_pillows(
    entries: list[tuple[int, int, int, int, bool]],
    big: bool,
    at: int,
    tail: bytes,
    cut: int | None,
    prefixes: int,
    xmp: bytes,
) -> None:
    rows = [
        (tag, 3 if tag == ORIENTATION and kind in FRACTIONS else kind, count,
         value.to_bytes(4, "big" if big == fits else "little"))
        for tag, kind, count, value, fits in entries
    ]  # fmt: skip
    exif = b"Exif\0\0" * prefixes + tiff_of(rows, big=big, at=at, tail=tail)
    exif = exif if cut is None else exif[:cut]
    try:
        expected = by_pillow(exif, xmp)
    except (SyntaxError, struct.error):  # such a file is not read in training at all
        assume(False)
    found = int(compiled()(exif, xmp))
    upright = found if 2 <= found <= 8 else 1
    assert upright == (expected if expected in range(2, 9) else 1)
