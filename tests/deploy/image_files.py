"""Image files made by hand, octet by octet: layouts that Pillow reads but does not write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.integer]
SAMPLES_OF_KIND = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
WHOLE = ((0, 0, 1, 1),)


def png(
    samples: Samples,
    depth: int,
    kind: int,
    *,
    palette: bytes = b"",
    transparency: bytes = b"",
    interlaced: bool = False,
    before: Sequence[tuple[bytes, bytes]] = (),
    behind: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """A PNG of samples (H, W, S) of `depth` bits; `kind` is its colour type; further chunks as given."""
    height, width, _ = samples.shape
    passes = [samples[y::down, x::right] for x, y, right, down in (ADAM7 if interlaced else WHOLE)]
    raw = b"".join(_rows(one, depth) for one in passes if one.size)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    chunks = [(b"IHDR", head), *before]
    chunks += [(b"PLTE", palette)] if palette else []
    chunks += [(b"tRNS", transparency)] if transparency else []
    data = zlib.compress(raw)
    half = len(data) // 2  # in two pieces, as large ones are
    chunks += [(b"IDAT", data[:half]), (b"IDAT", data[half:]), *behind, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _rows(samples: Samples, depth: int) -> bytes:
    height = samples.shape[0]
    flat = samples.reshape(height, -1)
    if depth == 16:
        packed = flat.astype(">u2").view(np.uint8).reshape(height, -1)
    elif depth == 8:
        packed = flat.astype(np.uint8)
    else:
        bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(height, -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def bmp(
    rows: npt.NDArray[np.uint8],
    size: tuple[int, int],
    depth: int,
    *,
    header: int = 40,
    palette: bytes = b"",
    masks: tuple[int, ...] = (),
    from_top: bool = False,
    packing: int | None = None,
    colours: int = 0,
) -> bytes:
    """A BMP of raw rows uint8 (H, stride), as they stand in the file; `size` is (height, width)."""
    height, width = size
    if header == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, depth)
    else:
        how = packing if packing is not None else 3 if masks else 0
        signed = -height if from_top else height
        head = struct.pack("<IiiHHIIiiII", 40, width, signed, 1, depth, how, rows.size, 0, 0, colours, 0)
        head = struct.pack("<I", header) + head[4:]
        head += b"".join(struct.pack("<I", mask) for mask in masks)
        head += bytes(max(0, header - len(head)))
    at = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + rows.size, 0, 0, at) + head + palette + rows.tobytes()


def gif(
    frames: Sequence[tuple[npt.NDArray[np.uint8], tuple[int, int]]],
    canvas: tuple[int, int],
    palette: bytes,
    *,
    local: bytes = b"",
    transparent: int | None = None,
    comment: bytes = b"",
) -> bytes:
    """A GIF of indices (H, W) below 128 at (top, left) each; `canvas` is (height, width)."""
    out = b"GIF89a" + struct.pack("<HHBBB", canvas[1], canvas[0], _palette_flags(palette), 0, 0) + palette
    for indices, (top, left) in frames:
        if comment:
            out += b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0"
        if transparent is not None:
            out += b"\x21\xf9\x04\x01\x0a\x00" + bytes([transparent]) + b"\0"
        height, width = indices.shape
        out += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, _palette_flags(local)) + local
        # Codes of 8 bits that are never compressed: clear the table before it grows.
        codes = b"".join(
            b"\x80" + bytes(chunk) for chunk in np.array_split(indices.ravel(), -(-indices.size // 100))
        )
        codes += b"\x81"
        out += b"\x07" + b"".join(
            bytes([len(codes[at : at + 255])]) + codes[at : at + 255] for at in range(0, len(codes), 255)
        )
        out += b"\0"
    return out + b";"


def _palette_flags(palette: bytes) -> int:
    return 0x80 | (len(palette) // 3).bit_length() - 2 if palette else 0


def tiff_of(
    entries: Sequence[tuple[int, int, int, bytes]], *, big: bool, at: int = 8, tail: bytes = b""
) -> bytes:
    """EXIF data: entries of tag, type, count and four bytes, in a directory at `at`."""
    order = ">" if big else "<"
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(order + "I", at) + bytes(at - 8)
    body = b"".join(
        struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in entries
    )
    return head + struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", 0) + tail


def with_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    """The JPEG with one more segment right behind its start."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]
