"""A drawn data set without a fault, and every fault that can be planted in it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 40
EACH = 14
"""Images of a class."""
CLASSES = ("cat", "dog", "owl")
Found = set[tuple[str, str]]
"""Names of checks, each with the name of an image or file that it is about."""


def picture(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """Soft spots of random colours, height and width; no two seeds look alike."""
    spots = np.random.default_rng(seed).integers(0, 256, (7, 7, 3)).astype(np.uint8)
    return Image.fromarray(spots).resize((size[1], size[0]), Image.Resampling.BICUBIC)


def draw(root: Path, seed: int) -> None:
    """The clean set: three class folders."""
    for label, name in enumerate(CLASSES):
        for number in range(EACH):
            save(picture(seed + 100 * label + number), root / name / f"{number:02}.png")


def save(image: Image.Image, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def bomb() -> bytes:
    """A PNG of some hundred bytes that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(300)))


def truncated(root: Path) -> Found:
    stream = io.BytesIO()
    picture(1_000_001).save(stream, "JPEG")
    (root / "cat" / "cut.jpg").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    return {("unreadable", "cat/cut.jpg")}


def empty(root: Path) -> Found:
    (root / "dog" / "empty.png").write_bytes(b"")
    return {("unreadable", "dog/empty.png")}


def decompression_bomb(root: Path) -> Found:
    (root / "cat" / "bomb.png").write_bytes(bomb())
    return {("bomb", "cat/bomb.png")}


def wrong_suffix(root: Path) -> Found:
    save(picture(1_000_002), root / "owl" / "really.jpg", format="PNG")
    return {("suffix", "owl/really.jpg")}


def conflict(root: Path) -> Found:
    (root / "dog" / "copy.png").write_bytes((root / "cat" / "00.png").read_bytes())
    return {("conflict", "dog/copy.png"), ("conflict", "cat/00.png")}


def duplicate(root: Path) -> Found:
    """The same pixels in another file: it is written as a BMP."""
    with Image.open(root / "owl" / "01.png") as image:
        save(image, root / "owl" / "again.bmp")
    return {("duplicate", "owl/again.bmp"), ("duplicate", "owl/01.png")}


def near_duplicate(root: Path) -> Found:
    with Image.open(root / "owl" / "02.png") as image:
        save(image, root / "owl" / "worse.jpg", quality=80)
    return {("near-duplicate", "owl/worse.jpg"), ("near-duplicate", "owl/02.png")}


def blank(root: Path) -> Found:
    save(Image.new("RGB", (SIDE, SIDE), (10, 20, 30)), root / "cat" / "blank.png")
    return {("blank", "cat/blank.png")}


def nearly_blank(root: Path) -> Found:
    noise = np.random.default_rng(3).integers(100, 103, (SIDE, SIDE, 3)).astype(np.uint8)
    save(Image.fromarray(noise), root / "dog" / "faint.png")
    return {("blank", "dog/faint.png")}


def cmyk(root: Path) -> Found:
    save(picture(1_000_003).convert("CMYK"), root / "cat" / "print.jpg")
    return {("mode", "cat/print.jpg")}


def deep(root: Path) -> Found:
    values = np.asarray(picture(1_000_004).convert("L")).astype(np.uint16) * 257
    save(Image.fromarray(values), root / "dog" / "deep.png")
    return {("mode", "dog/deep.png")}


def palette(root: Path) -> Found:
    save(picture(1_000_005).quantize(200), root / "owl" / "few.png")
    return {("mode", "owl/few.png")}


def transparent(root: Path) -> Found:
    image = picture(1_000_006)
    image.putalpha(128)
    save(image, root / "owl" / "clear.png")
    return {("mode", "owl/clear.png")}


def animated(root: Path) -> Found:
    frames = [picture(1_000_007), picture(1_000_008)]
    save(frames[0], root / "owl" / "moves.webp", save_all=True, append_images=frames[1:], lossless=True)
    return {("mode", "owl/moves.webp")}


def grey(root: Path) -> Found:
    save(picture(1_000_009).convert("L"), root / "cat" / "grey.png")
    return {("mode", "cat/grey.png")}


def turned(root: Path) -> Found:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(picture(1_000_010), root / "cat" / "turned.jpg", exif=exif)
    return {("orientation", "cat/turned.jpg")}


def large(root: Path) -> Found:
    save(picture(1_000_011, (400, 400)), root / "dog" / "large.png")
    return {("size", "dog/large.png")}


def long(root: Path) -> Found:
    save(picture(1_000_012, (24, 72)), root / "dog" / "long.png")
    return {("size", "dog/long.png")}


def hidden(root: Path) -> Found:
    (root / "cat" / "._00.png").write_bytes(b"Mac OS X")
    return {("stray", "cat/._00.png")}


def document(root: Path) -> Found:
    (root / "owl" / "notes.txt").write_text("taken in May")
    return {("stray", "owl/notes.txt")}


FAULTS: dict[str, Callable[[Path], Found]] = {
    fault.__name__: fault
    for fault in (
        truncated, empty, decompression_bomb, wrong_suffix, conflict, duplicate, near_duplicate, blank,
        nearly_blank, cmyk, deep, palette, transparent, animated, grey, turned, large, long, hidden, document,
    )
}  # fmt: skip
"""What plants a fault, and returns what is to be found."""
