"""One image file to pixels, and everything that can be wrong with one.

Formats come from the content, never from the name. Transparent images are laid on white.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from harness.data.deep import is_deep, read_deep
from harness.data.file_kinds import kind_of
from harness.data.foreign import what_it_is
from harness.data.pixel_range import Extent, Range, outside

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
"""Images of more pixels are refused by default, from the header alone: a file of 661 bytes can claim
60,000 × 60,000."""
GREY_MODES = frozenset({"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_TRANSPARENT_WHITE = (255, 255, 255, 255)


class UnreadableError(Exception):
    """The file is not an image we accept; the message says why."""


class FloatsError(UnreadableError):
    """The file's pixels are floating-point numbers, and which values are black and white was not said."""

    def __init__(self, extent: Extent) -> None:
        super().__init__(
            f"its pixels are floating-point numbers from {extent.low:g} to {extent.high:g}; say which values "
            "are black and white with dataset.range"
        )
        self.extent = extent


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
    """The image, uint8 (height, width, channels)."""
    animated: bool = False
    """Whether there were more frames than the first, which alone was kept."""
    extent: Extent | None = None
    """What the values reach from and to in a file of more than 8 bits a channel; None for others."""
    clipped: int = 0
    """Values outside the range."""
    kind: str = ""
    """What kind of file it was; see `harness.data.file_kinds`."""
    full_size: tuple[int, int] = (0, 0)
    """Height and width of the file's picture, upright, before it was scaled."""


def read_header(content: bytes, max_pixels: int = MAX_PIXELS) -> Header:
    """Size and colour without decoding; raises UnreadableError."""
    with _open(content, max_pixels) as image, _damage(max_pixels):
        height, width = _upright(image.size, image)
        return Header(height, width, image.mode in GREY_MODES)


def claimed_size(content: bytes) -> tuple[int, int]:
    """Height and width as the header says, however much that is; raises UnreadableError."""
    with _open(content, 2**63) as image:
        return image.size[1], image.size[0]


def is_large(content: bytes, size: tuple[int, int]) -> bool:
    """Whether decoding needs so much memory that one should be decoded at a time; raises UnreadableError."""
    with _open(content, 2**63) as image:
        return image.size[0] * image.size[1] > MAX_PIXELS and not _is_reducible(image, (size[1], size[0]))


def decode(
    content: bytes,
    size: tuple[int, int],
    channels: int,
    pixel_range: Range | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """The image at `size` (height, width) with 1 or 3 channels.

    The whole picture is scaled to the size, whatever its proportions, with an antialiasing filter.

    Args:
        content: the file.
        size: height and width of the result.
        channels: 1 for grey, 3 for red, green and blue.
        pixel_range: in a file of more than 8 bits a channel, the values that become 0 and 255; None: the
        upper byte.
        max_pixels: a larger image is refused.

    Raises:
        UnreadableError: with the reason; FloatsError if a range is needed.
    """
    with _open(content, max_pixels) as image, _damage(max_pixels):
        as_stored = image.size
        animated = getattr(image, "n_frames", 1) > 1
        wanted = (size[1], size[0])
        extent, clipped = None, 0
        if is_deep(image):
            deep = read_deep(image, content)
            extent = deep.extent()
            if pixel_range is None and extent.kind == "f":
                raise FloatsError(extent)
            clipped = outside(deep.values, pixel_range) if pixel_range else 0
            turned = deep.at_8_bits(pixel_range)
        else:
            # A JPEG can be decoded at a half, a quarter or an eighth: much faster for photographs.
            if _is_reducible(image, wanted):
                image.draft(image.mode, (2 * max(wanted), 2 * max(wanted)))
            turned = ImageOps.exif_transpose(image)
        flat = _flatten(turned, "L" if channels == 1 else "RGB")
        if flat.size != wanted:
            flat = flat.resize(wanted, Image.Resampling.BILINEAR, reducing_gap=3.0)
        kind, full_size = kind_of(image, deep=extent is not None), _upright(as_stored, image)
    pixels = np.asarray(flat, dtype=np.uint8).reshape(*size, channels)
    return Decoded(pixels, animated, extent, clipped, kind, full_size)


def _upright(size: tuple[int, int], image: ImageFile.ImageFile) -> tuple[int, int]:
    """Height and width of a picture, after EXIF rotation, from its width and height as stored.

    Asking for EXIF loads a PNG, so whatever has to be done before that comes first.
    """
    width, height = size
    sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (width, height) if sideways else (height, width)


def _is_reducible(image: ImageFile.ImageFile, wanted: tuple[int, int]) -> bool:
    return image.format == "JPEG" and min(image.size) > 4 * max(wanted)


def _open(content: bytes, max_pixels: int) -> ImageFile.ImageFile:
    if not content:
        raise UnreadableError("it is empty")
    try:
        with _PILLOW.limited(max_pixels):
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:  # more than twice the limit
        raise _too_large(f"more than {2 * max_pixels:,}", max_pixels) from error
    except Exception as error:
        also = what_it_is(content)
        raise UnreadableError(
            f"it is none of {', '.join(FORMATS)}, or damaged{also and f': {also}'}"
        ) from error
    pixels = image.size[0] * image.size[1]
    if pixels > max_pixels:
        raise _too_large(f"{pixels:,}", max_pixels)
    return image


def _too_large(claimed: str, max_pixels: int) -> UnreadableError:
    return UnreadableError(
        f"it claims {claimed} pixels; at most {max_pixels:,} are accepted (dataset.max_pixels)"
    )


@contextmanager
def _damage(max_pixels: int) -> Iterator[None]:
    """Whatever a decoder raises on a damaged file is damage, and its warnings are no news."""
    try:
        with _PILLOW.limited(max_pixels):  # a frame may be larger than the header says
            yield
    except UnreadableError:
        raise
    except MemoryError as error:
        raise UnreadableError("it needs more memory than there is") from error
    except Exception as error:
        raise UnreadableError(f"it is damaged ({_short(error)})") from error


@dataclass(slots=True)
class _Pillow:
    """Pillow's limit of pixels and Python's warnings, which belong to the whole process.

    Threads may decode at once: the first one in changes them, the last one out puts back what was there.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    limits: list[int] = field(default_factory=list)
    """Those of the images that are being read."""
    before: int | None = None
    silence: warnings.catch_warnings[None] = field(default_factory=warnings.catch_warnings)

    @contextmanager
    def limited(self, max_pixels: int) -> Iterator[None]:
        """Inside, Pillow refuses pictures of more than twice as many pixels, and nothing warns."""
        with self.lock:
            if not self.limits:
                self.before, self.silence = Image.MAX_IMAGE_PIXELS, warnings.catch_warnings()
                self.silence.__enter__()
                warnings.simplefilter("ignore")
            self.limits.append(max_pixels)
            Image.MAX_IMAGE_PIXELS = max(self.limits)
        try:
            yield
        finally:
            with self.lock:
                self.limits.remove(max_pixels)
                Image.MAX_IMAGE_PIXELS = max(self.limits, default=self.before)
                if not self.limits:
                    self.silence.__exit__(None, None, None)


_PILLOW = _Pillow()


def _flatten(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, _TRANSPARENT_WHITE), clear)
    return image.convert(mode)


def _short(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:100] or type(error).__name__
