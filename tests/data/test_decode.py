"""Images of more than 8 bits keep them until their range is spread over bytes; large and foreign files."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data.decode import FloatsError, UnreadableError, decode, read_header
from harness.data.pixel_range import UnknownRangeError, choose_range, extent_of, to_bytes
from tests.data.images_by_hand import png_16, portable, tiff

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def noise(shape: tuple[int, ...], high: int = 65_536, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint16)


def spread(values: np.ndarray[Any, Any], low: float, high: float) -> np.ndarray[Any, Any]:
    """Another way to the same bytes."""
    shares = np.interp(values.astype(np.float64), [low, high], [0.0, 255.0])
    return np.rint(shares).astype(np.uint8)


def pixels_of(content: bytes, pixel_range: tuple[float, float] | None, channels: int) -> np.ndarray[Any, Any]:
    header = read_header(content)
    return decode(content, (header.height, header.width), channels, pixel_range).pixels


@given(shape=SHAPES, filters=st.lists(st.integers(0, 4), min_size=1, max_size=5), interlaced=st.booleans(),
       high=st.sampled_from([256, 1024, 4096, 65_536]))  # fmt: skip
@settings(max_examples=80, deadline=None)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_bit_of_a_png_counts(
    channels: int, shape: tuple[int, int], filters: list[int], interlaced: bool, high: int
) -> None:
    values = noise((*shape, channels), high)
    content = png_16(values, filters=filters, interlaced=interlaced)
    found = pixels_of(content, (0.0, high - 1.0), channels)
    np.testing.assert_array_equal(found, spread(values, 0, high - 1))
    np.testing.assert_array_equal(pixels_of(content, None, channels), values >> 8)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [2, 4])
def test_a_transparent_png_of_16_bits_is_laid_on_white(channels: int, interlaced: bool) -> None:
    values = noise((7, 9, channels), 4096)
    values[..., -1] = np.where(noise((7, 9), 2, seed=1) == 1, 65_535, 0)
    found = pixels_of(png_16(values, filters=range(5), interlaced=interlaced), (0.0, 4095.0), 3)
    opaque = np.broadcast_to(spread(values[..., :-1], 0, 4095), (7, 9, 3))
    np.testing.assert_array_equal(found, np.where(values[..., -1:] > 0, opaque, 255))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_a_png_of_16_bits_is_white(channels: int) -> None:
    values = noise((4, 5, channels), 60_000)
    clear = values[2, 3]
    content = png_16(values, chunks=[(b"tRNS", clear.astype(">u2").tobytes())])
    found = pixels_of(content, (0.0, 65_535.0), 3)
    expected = np.broadcast_to(spread(values, 0, 65_535), (4, 5, 3)).copy()
    expected[(values == clear).all(axis=2)] = 255
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_all_bits(orientation: int) -> None:
    values = noise((4, 6, 3), 4096)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels_of(png_16(values, chunks=[(b"eXIf", exif.tobytes()[6:])]), (0.0, 4095.0), 3)
    upright = {
        1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1], 5: values.swapaxes(0, 1),
        6: values[::-1].swapaxes(0, 1), 7: values[::-1, ::-1].swapaxes(0, 1),
        8: values[:, ::-1].swapaxes(0, 1),
    }[orientation]  # fmt: skip
    np.testing.assert_array_equal(found, spread(upright, 0, 4095))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_bit_of_a_tiff_counts(channels: int, order: str, packed: bool) -> None:
    values = noise((5, 7, channels), 4096)
    if channels == 4:
        values[..., 3] = 65_535
    found = pixels_of(tiff(values, order=order, packed=packed), (0.0, 4095.0), min(channels, 3))
    np.testing.assert_array_equal(found, spread(values[..., :3], 0, 4095))


def test_a_tiff_whose_zero_is_white_is_turned() -> None:
    values = noise((5, 7, 1))
    found = pixels_of(tiff(values, white_is_zero=True), (0.0, 65_535.0), 1)
    np.testing.assert_array_equal(found, spread(65_535 - values, 0, 65_535))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("largest", [1000, 4095, 65_535])
def test_a_portable_map_keeps_its_own_values(channels: int, largest: int) -> None:
    values = noise((5, 7, channels), largest + 1)
    found = pixels_of(portable(values, largest), (0.0, float(largest)), channels)
    np.testing.assert_array_equal(found, spread(values, 0, largest))


def test_a_plain_portable_map_keeps_its_own_values_too() -> None:
    values = noise((2, 3, 3), 1001)
    text = " ".join(map(str, values.ravel()))
    content = f"P3\n3 2\n1000\n# a comment 77\n{text}\n".encode()
    np.testing.assert_array_equal(pixels_of(content, (0.0, 1000.0), 3), spread(values, 0, 1000))


def test_floats_need_a_range_and_tell_theirs() -> None:
    values = np.linspace(-2, 6, 35, dtype=np.float32).reshape(5, 7, 1)
    content = tiff(values)
    with pytest.raises(FloatsError, match="from -2 to 6; say which values are black and white") as caught:
        decode(content, (5, 7), 1)
    assert (caught.value.extent.low, caught.value.extent.high) == (-2, 6)
    found = decode(content, (5, 7), 1, (0.0, 4.0))
    np.testing.assert_array_equal(found.pixels, spread(np.clip(values, 0, 4), 0, 4))
    assert found.clipped == int(((values < 0) | (values > 4)).sum())
    values[2, 3] = np.nan
    with pytest.raises(UnreadableError, match="no numbers"):
        decode(tiff(values), (5, 7), 1, (0.0, 4.0))


def test_signed_numbers_keep_their_sign() -> None:
    values = np.arange(-17, 18, dtype=np.int32).reshape(5, 7, 1)
    found = decode(tiff(values), (5, 7), 1, (-17.0, 17.0))
    np.testing.assert_array_equal(found.pixels, spread(values, -17, 17))
    assert found.extent is not None
    assert (found.extent.low, found.extent.high) == (-17, 17)


def test_a_range_says_nothing_to_images_of_8_bits() -> None:
    values = noise((5, 7, 3), 256).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "png")
    found = decode(stream.getvalue(), (5, 7), 3, (0.0, 10.0))
    np.testing.assert_array_equal(found.pixels, values)
    assert found.extent is None


FOREIGN = {
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(100),
    "AVIF": b"\0\0\0\x18ftypavif" + bytes(100),
    "a video": b"\0\0\0\x18ftypisom" + bytes(100),
    "SVG drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML page": b"<!DOCTYPE html><html><body>404</body></html>",
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(50),
    "JPEG XL": b"\xff\x0a" + bytes(50),
    "DICOM": bytes(128) + b"DICM" + bytes(50),
    "PDF": b"%PDF-1.7\n",
    "Photoshop": b"8BPS" + bytes(50),
    "zip archive": b"PK\x03\x04" + bytes(50),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_files_that_are_no_images_are_called_what_they_are(what: str) -> None:
    with pytest.raises(UnreadableError, match=f"it is none of JPEG.*{what}"):
        decode(FOREIGN[what], (8, 8), 3)


def test_more_pixels_than_usual_are_accepted_deliberately() -> None:
    stream = io.BytesIO()
    Image.new("1", (10_000, 6000), 1).save(stream, "png")
    content = stream.getvalue()
    with pytest.raises(UnreadableError, match=r"60,000,000 pixels; at most 50,000,000 .*dataset\.max_pixels"):
        decode(content, (4, 8), 1)
    found = decode(content, (4, 8), 1, None, 60_000_000)
    assert (found.pixels > 250).all()
    assert Image.MAX_IMAGE_PIXELS is not None


def test_a_frame_larger_than_the_header_says_is_refused() -> None:
    """A GIF of 1 × 1 whose frame claims 60,000 × 60,000."""
    content = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    content += b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\x00;"
    with pytest.raises(UnreadableError):
        decode(content, (4, 4), 1)


def test_threads_do_not_lift_each_others_limits() -> None:
    """Pillow's limit belongs to the whole process; bombs of different kinds are read at once."""
    stream = io.BytesIO()
    Image.new("L", (40, 40), 7).save(stream, "png")
    frame = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame += b"," + struct.pack("<HHHHB", 0, 0, 20_000, 20_000, 0) + b"\x02\x02\x44\x01\x00;"
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head
    header += struct.pack(">I", zlib.crc32(b"IHDR" + head))
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)

    def reads(content: bytes) -> bool:
        try:
            return bool((decode(content, (8, 8), 1).pixels == 7).all())
        except UnreadableError:
            return False

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(reads, [stream.getvalue(), frame, header] * 200))
    assert found == [True, False, False] * 200
    assert limit == Image.MAX_IMAGE_PIXELS
    assert filters == warnings.filters


KINDS = st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64", "bool"])


@given(kind=KINDS, low=st.floats(-300, 70_000), high=st.floats(-300, 70_000), seed=st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_whatever_range_is_chosen_holds_every_value(kind: str, low: float, high: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(invalid="ignore"):
        values = rng.uniform(min(low, high), max(low, high), (3, 4, 5)).astype(kind)
    try:
        choice = choose_range([extent_of(values)])
    except UnknownRangeError as error:
        assert kind != "bool"
        assert not str(error).endswith(".")
        return
    reach = choice.pixel_range or (0.0, 255.0)
    slack = 0.001 * reach[1] if values.dtype.kind == "f" else 0
    assert reach[0] - 1e-6 <= values.min()
    assert values.max() <= reach[1] + slack
    if choice.pixel_range is None:
        assert values.dtype.kind in "iu"
    else:
        expected = spread(np.clip(values.astype(np.float64), *reach), *reach).astype(int)
        assert np.abs(to_bytes(values, reach).astype(int) - expected).max() <= 1


def test_grey_levels_are_counted_as_they_are_left(tmp_path: Path) -> None:
    choice = choose_range([extent_of(np.arange(3001, dtype=np.uint16))])
    assert choice.pixel_range == (0, 4095)
    left = len(np.unique(to_bytes(np.arange(3001), choice.pixel_range)))
    assert f"at most {left} grey levels" in choice.sentence
