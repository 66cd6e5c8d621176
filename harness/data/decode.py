"""One image file to pixels, and everything that can be wrong with one.

Formats come from the content, never from the name. Transparent images are laid on white.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from harness.data.kinds import kind_of

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
"""Refused from the header alone: a file of 661 bytes can claim 60,000 × 60,000 pixels."""
GREY_MODES = frozenset({"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_TRANSPARENT_WHITE = (255, 255, 255, 255)


class UnreadableError(Exception):
    """The file is not an image we accept; the message says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says about itself, after EXIF rotation."""

    height: int
    width: int
    grey: bool


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels, and what was lost on the way to them."""

    pixels: npt.NDArray[np.uint8]
    """(height, width, channels)"""
    note: str = ""
    """`16-bit` or `animated`, if more was there than is kept."""
    kind: str = ""
    """What kind of file it was; see `harness.data.kinds`."""


def read_header(content: bytes) -> Header:
    """Size and colour without decoding; raises UnreadableError."""
    with _open(content) as image:
        width, height = image.size
        with _damage():
            if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
                width, height = height, width
        return Header(height, width, image.mode in GREY_MODES)


def decode(content: bytes, size: tuple[int, int], channels: int) -> Decoded:
    """The image at `size` (height, width) with 1 or 3 channels; raises UnreadableError.

    The whole picture is scaled to the size, whatever its proportions, with an antialiasing filter.
    """
    with _open(content) as image, _damage():
        note = "animated" if getattr(image, "n_frames", 1) > 1 else ""
        deep = _is_deep(image)
        if deep:
            note = note or "16-bit"
        wanted = (size[1], size[0])
        # A JPEG can be decoded at a half, a quarter or an eighth: much faster for photographs.
        if image.format == "JPEG" and min(image.size) > 4 * max(wanted):
            image.draft(image.mode, (2 * max(wanted), 2 * max(wanted)))
        turned = ImageOps.exif_transpose(image)
        if turned.mode == "F":
            raise UnreadableError("its pixels are floating-point numbers, whose range is not known")
        if turned.mode.startswith("I;16") or turned.mode == "I":
            note = note or "16-bit"
            turned = _from_16_bit(turned)
        flat = _flatten(turned, "L" if channels == 1 else "RGB")
        if flat.size != wanted:
            flat = flat.resize(wanted, Image.Resampling.BILINEAR, reducing_gap=3.0)
        kind = kind_of(image, deep=deep)
    pixels = np.asarray(flat, dtype=np.uint8).reshape(*size, channels)
    return Decoded(pixels, note, kind)


def _open(content: bytes) -> ImageFile.ImageFile:
    if not content:
        raise UnreadableError("it is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadableError("it claims more pixels than is sane") from error
    except Exception as error:
        raise UnreadableError(f"it is none of {', '.join(FORMATS)}, or damaged") from error
    pixels = image.size[0] * image.size[1]
    if pixels > MAX_PIXELS:
        raise UnreadableError(f"it claims {pixels:,} pixels; at most {MAX_PIXELS:,} are accepted")
    return image


@contextmanager
def _damage() -> Iterator[None]:
    """Whatever a decoder raises on a damaged file is damage, and its warnings are no news."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(f"it is damaged ({_short(error)})") from error


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has more than 8 bits a channel, also where Pillow quietly gives 8."""
    how = [tile[3] for tile in image.tile]
    if image.format == "PPM":
        return any(value > 255 for args in how if isinstance(args, tuple) for value in args[1:2])
    return any(";16" in str(args) for args in how)


def _from_16_bit(image: Image.Image) -> Image.Image:
    """High bytes; plain conversion would clip everything above 255."""
    values = np.asarray(image, dtype=np.int64)
    return Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8))


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, _TRANSPARENT_WHITE), clear)
    return image.convert(mode)


def _short(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:100] or type(error).__name__
