"""Image files of every kind, drawn with Pillow from a picture, to try a reader of image files on."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

ORIENTATION = 0x0112
LARGEST_SIDE = 4000
"""The most pixels along a side of what is drawn."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One way to write a picture."""

    name: str
    scale: float
    """The drawn picture's sides, as a factor of those of the picture it is drawn from."""
    write: Callable[[Image.Image], bytes]
    """Makes the bytes of a file from a colour image."""


def draw(drawing: Drawing, pixels: npt.NDArray[np.uint8]) -> bytes:
    """A file of the pixels uint8 (H, W, 1 or 3); grey ones are tinted, so that colours take part."""
    if pixels.shape[2] == 1:
        tint = np.array([1.0, 0.8, 0.6])
        pixels = (pixels * tint + 0.5).astype(np.uint8)
    picture = Image.fromarray(pixels)
    scale = min(drawing.scale, max(1.0, LARGEST_SIDE / max(picture.size)))
    # Neither side by the same number: only what is resized in both directions tells them apart.
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale * 1.1)))
    return drawing.write(picture.resize(size, Image.Resampling.BICUBIC))


def _saved(picture: Image.Image, name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, name, **options)
    return stream.getvalue()


def _turned(name: str, orientation: int, order: str) -> Callable[[Image.Image], bytes]:
    exif = Image.Exif()
    exif.endian = order
    exif[ORIENTATION] = orientation
    return lambda picture: _saved(picture, name, exif=exif.tobytes())


def _by_xmp(picture: Image.Image) -> bytes:
    return _saved(picture, "JPEG", xmp=b'<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>')


def _see_through(picture: Image.Image) -> Image.Image:
    """The picture with a transparency that grows from left to right."""
    alpha = np.linspace(0, 255, picture.width).astype(np.uint8)
    picture = picture.convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(alpha, (picture.height, 1))))
    return picture


def _deep(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


def _animated(picture: Image.Image, name: str) -> bytes:
    return _saved(picture, name, save_all=True, append_images=[picture.transpose(Image.Transpose.ROTATE_180)])


DRAWINGS = (
    Drawing("JPEG", 1.0, lambda picture: _saved(picture, "JPEG", quality=95)),
    Drawing("JPEG, small", 0.6, lambda picture: _saved(picture, "JPEG")),
    Drawing("JPEG, large", 9.0, lambda picture: _saved(picture, "JPEG")),
    Drawing("JPEG, grey", 2.6, lambda picture: _saved(picture.convert("L"), "JPEG")),
    Drawing("JPEG, progressive", 2.6, lambda picture: _saved(picture, "JPEG", progressive=True)),
    Drawing("JPEG, CMYK", 2.6, lambda picture: _saved(picture.convert("CMYK"), "JPEG", quality=95)),
    *(
        Drawing(f"JPEG, turned (EXIF {orientation})", 2.6, _turned("JPEG", orientation, order))
        for orientation, order in zip(range(2, 9), "><><><>", strict=True)
    ),
    Drawing("JPEG, turned (XMP)", 2.6, _by_xmp),
    Drawing("PNG", 2.6, lambda picture: _saved(picture, "PNG")),
    Drawing("PNG, large", 7.3, lambda picture: _saved(picture, "PNG")),
    Drawing("PNG, grey", 2.6, lambda picture: _saved(picture.convert("L"), "PNG")),
    Drawing("PNG, black and white", 2.6, lambda picture: _saved(picture.convert("1"), "PNG")),
    Drawing("PNG, palette", 2.6, lambda picture: _saved(picture.quantize(16), "PNG")),
    Drawing(
        "PNG, palette, transparent", 2.6, lambda picture: _saved(picture.quantize(16), "PNG", transparency=0)
    ),
    Drawing("PNG, transparent", 2.6, lambda picture: _saved(_see_through(picture), "PNG")),
    Drawing(
        "PNG, grey, transparent", 2.6, lambda picture: _saved(_see_through(picture).convert("LA"), "PNG")
    ),
    Drawing("PNG, grey, 16 bits", 2.6, lambda picture: _saved(_deep(picture), "PNG")),
    Drawing("PNG, turned (EXIF 6)", 2.6, _turned("PNG", 6, ">")),
    Drawing("GIF", 2.6, lambda picture: _saved(picture.quantize(64), "GIF")),
    Drawing("GIF, transparent", 2.6, lambda picture: _saved(picture.quantize(64), "GIF", transparency=0)),
    Drawing("GIF, several pictures", 2.6, lambda picture: _animated(picture.quantize(64), "GIF")),
    Drawing("BMP", 2.6, lambda picture: _saved(picture, "BMP")),
    Drawing("BMP, grey", 2.6, lambda picture: _saved(picture.convert("L"), "BMP")),
    Drawing("BMP, palette", 2.6, lambda picture: _saved(picture.quantize(64), "BMP")),
    Drawing("WEBP", 2.6, lambda picture: _saved(picture, "WEBP")),
    Drawing("WEBP, lossless", 2.6, lambda picture: _saved(picture, "WEBP", lossless=True)),
    Drawing("WEBP, transparent", 2.6, lambda picture: _saved(_see_through(picture), "WEBP")),
    Drawing("WEBP, several pictures", 2.6, lambda picture: _animated(picture, "WEBP")),
    Drawing("WEBP, turned (EXIF 6)", 2.6, _turned("WEBP", 6, ">")),
)
"""What training reads, and an exported model should."""
REFUSED = (
    Drawing("TIFF", 1.0, lambda picture: _saved(picture, "TIFF")),
    Drawing("TIFF, 16 bits", 1.0, lambda picture: _saved(_deep(picture), "TIFF")),
    Drawing("PPM", 1.0, lambda picture: _saved(picture, "PPM")),
)
"""What training reads and TensorFlow does not."""
NO_IMAGES = (
    Drawing("an empty file", 1.0, lambda _: b""),
    Drawing("text", 1.0, lambda _: b"<html><body>Not found</body></html>"),
    Drawing("half a JPEG", 1.0, lambda picture: _half(_saved(picture, "JPEG"))),
    Drawing("half a PNG", 1.0, lambda picture: _half(_saved(picture, "PNG"))),
    Drawing("half a GIF", 1.0, lambda picture: _half(_saved(picture.quantize(64), "GIF"))),
)
"""Files that no reader may accept."""


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]
