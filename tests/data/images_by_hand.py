"""Images of more than 8 bits, written without any library that also reads them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Adam7: first row, first column, step of rows, step of columns."""


def png_16(
    pixels: Values,
    *,
    filters: Sequence[int] = (0,),
    interlaced: bool = False,
    chunks: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """A PNG of 16 bits a channel.

    Args:
        pixels: uint16 (H, W, 1, 2, 3 or 4): grey, grey and alpha, colour, colour and alpha.
        filters: kinds of filters that rows take in turn, 0 to 4.
        interlaced: whether rows come in seven passes.
        chunks: further ones before the pixels, kind and content.
    """
    height, width, channels = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [pixels[a::c, b::d] for a, b, c, d in _PASSES] if interlaced else [pixels]
    content = b"".join(_filtered(part, filters) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlaced)
    every = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in every)


def tiff(pixels: Values, *, order: str = "<", packed: bool = False, white_is_zero: bool = False) -> bytes:
    """A TIFF with one strip.

    Args:
        pixels: (H, W, 1, 3 or 4) of uint16, int16, uint32, int32 or float32; the fourth channel is alpha.
        order: `<` little-endian, `>` big-endian.
        packed: compressed by deflate.
        white_is_zero: the smallest value is white.
    """
    height, width, channels = pixels.shape
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    raw = zlib.compress(raw) if packed else raw
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    bits = 8 * pixels.dtype.itemsize
    entries: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [8 if packed else 1]),
        (262, 3, [0 if white_is_zero else 1 if channels == 1 else 2]), (273, 4, [0]), (277, 3, [channels]),
        (278, 4, [height]), (279, 4, [len(raw)]),
        (339, 3, [kind] * channels if bits > 16 or kind > 1 else [1]),
    ]  # fmt: skip
    if channels == 4:
        entries.insert(-1, (338, 3, [2]))
    table = 8 + len(raw) + len(raw) % 2
    extra_at = table + 2 + 12 * len(entries) + 4
    extra, lines = b"", b""
    for tag, size, listed in entries:
        numbers = [8] if tag == 273 else listed
        packed_numbers = struct.pack(f"{order}{len(numbers)}{'H' if size == 3 else 'I'}", *numbers)
        if len(packed_numbers) > 4:
            lines += struct.pack(f"{order}HHII", tag, size, len(numbers), extra_at + len(extra))
            extra += packed_numbers
        else:
            lines += struct.pack(f"{order}HHI", tag, size, len(numbers)) + packed_numbers.ljust(4, b"\0")
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, table)
    count, end = struct.pack(f"{order}H", len(entries)), struct.pack(f"{order}I", 0)
    return start + raw + b"\0" * (len(raw) % 2) + count + lines + end + extra


def portable(pixels: Values, largest: int) -> bytes:
    """A PGM (H, W, 1) or PPM (H, W, 3) whose header calls `largest` the largest value."""
    height, width, channels = pixels.shape
    return (
        b"P%d\n# made by hand\n%d %d\n%d\n" % (5 if channels == 1 else 6, width, height, largest)
        + pixels.astype(">u2").tobytes()
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _filtered(pixels: Values, filters: Sequence[int]) -> bytes:
    step = 2 * pixels.shape[2]
    above = np.zeros(pixels.shape[1] * step, np.int64)
    out = b""
    for number, row in enumerate(pixels):
        line = np.frombuffer(row.astype(">u2").tobytes(), np.uint8).astype(np.int64)
        left = np.concatenate([np.zeros(step, np.int64), line])[: len(line)]
        corner = np.concatenate([np.zeros(step, np.int64), above])[: len(line)]
        kind = filters[number % len(filters)]
        guess = [0, left, above, (left + above) // 2, _paeth(left, above, corner)][kind]
        out += bytes([kind]) + ((line - guess) % 256).astype(np.uint8).tobytes()
        above = line
    return out


def _paeth(left: Values, above: Values, corner: Values) -> Values:
    guess = left + above - corner
    to_left, to_above, to_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
    by_above = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, by_above)
