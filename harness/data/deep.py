"""Images of more than 8 bits a channel, with all their bits; Pillow gives only the upper ones of coloured
ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from harness.data.pixel_range import Extent, Range, to_bytes

_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B"}
"""Pillow's unpackers take the upper byte in this order; the other order's takes the lower one."""
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_FULL_ALPHA = (0.0, 65535.0)


@dataclass(frozen=True, slots=True)
class Deep:
    """Pixels with all their bits, turned upright."""

    values: npt.NDArray[np.generic]
    """(H, W, 1 or 3): whole numbers or floats."""
    alpha: npt.NDArray[np.uint8] | None
    """(H, W); None: opaque."""

    def extent(self) -> Extent:
        """What the values reach from and to."""
        dtype = self.values.dtype
        return Extent(dtype.kind, 8 * dtype.itemsize, float(self.values.min()), float(self.values.max()))

    def at_8_bits(self, pixel_range: Range | None) -> Image.Image:
        """The image with 8 bits a channel; without a range, the upper byte of 16 bits."""
        if pixel_range is None:
            found = np.clip(self.values.astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        else:
            found = to_bytes(self.values, pixel_range)
        if self.alpha is not None:
            shades = found if found.shape[2] == 3 else np.repeat(found, 3, axis=2)
            return Image.fromarray(np.dstack([shades, self.alpha]))
        return Image.fromarray(found if found.shape[2] == 3 else found[..., 0])


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has more than 8 bits a channel, also where Pillow quietly gives 8; before it is
    loaded."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return True
    how = [tile[3] for tile in image.tile]
    if image.format == "PPM":
        return any(value > 255 for args in how if isinstance(args, tuple) for value in args[1:2])
    return image.mode != "CMYK" and image.format != "BMP" and any(";16" in str(args) for args in how)


def read_deep(image: ImageFile.ImageFile, content: bytes) -> Deep:
    """All bits of an image for which `is_deep` holds.

    Args:
        image: opened, not loaded.
        content: the file it was opened from.

    Raises:
        OSError: it is damaged, or of a kind that is not read.
    """
    if image.format == "PPM" and image.mode in ("I", "RGB"):
        return Deep(_portable(image, content), None)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey(image)
    if any("RGBa" in str(tile[3]) for tile in image.tile):
        raise OSError("its colours are multiplied by its transparency")
    grey = any("LA;16" in str(tile[3]) for tile in image.tile)
    if grey:  # Pillow knows no 16 bits with alpha: its upper and lower bytes are four channels of 8 bits
        _change_tiles(image, lambda mode: mode.replace("LA;16B", "RGBA"))
        upper = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
        return Deep(upper[..., :1] * 256 + upper[..., 1:2], upper[..., 2].astype(np.uint8))
    clear = image.info.get("transparency")
    other = Image.open(io.BytesIO(content), formats=[str(image.format)])
    _change_tiles(other, _other_order)
    upper, lower = (np.asarray(ImageOps.exif_transpose(one)).astype(np.uint16) for one in (image, other))
    values = upper * 256 + lower
    if values.shape[2] == 4:
        return Deep(values[..., :3], to_bytes(values[..., 3], _FULL_ALPHA))
    return Deep(values, _not_clear(values, clear))


def _grey(image: ImageFile.ImageFile) -> Deep:
    clear = image.info.get("transparency")
    values = np.asarray(ImageOps.exif_transpose(image))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise OSError("it holds values that are no numbers (NaN or infinite)")
    if values.dtype.itemsize == 2:
        values = values.astype(np.uint16)
        if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            values = 65535 - values
    return Deep(values[..., None], _not_clear(values[..., None], clear))


def _not_clear(values: npt.NDArray[np.generic], clear: object) -> npt.NDArray[np.uint8] | None:
    """Alpha from the one colour that a PNG may name as transparent."""
    if not isinstance(clear, int | tuple):
        return None
    opaque: npt.NDArray[np.bool_] = (values != np.asarray(clear)).any(axis=2)
    return np.where(opaque, 255, 0).astype(np.uint8)


def _change_tiles(image: ImageFile.ImageFile, change: Callable[[str], str]) -> None:
    """Let the decoder unpack pixels otherwise."""
    changed = []
    for tile in image.tile:
        args = tile[3]
        first = change(str(args[0] if isinstance(args, tuple) else args))
        changed.append(tile._replace(args=(first, *args[1:]) if isinstance(args, tuple) else first))
    image.tile = changed


def _other_order(mode: str) -> str:
    for end, other in _OTHER_BYTE.items():
        if mode.endswith(end):
            return mode.removesuffix(end) + other
    raise OSError(f"its pixels are stored as {mode}, which is not read")


def _portable(image: ImageFile.ImageFile, content: bytes) -> npt.NDArray[np.uint16]:
    """PGM and PPM; Pillow stretches them by what their header calls the largest value."""
    codec, _, offset, _ = image.tile[0]
    bands = 3 if image.mode == "RGB" else 1
    count = image.size[0] * image.size[1] * bands
    if codec == "ppm_plain":
        text = b"\n".join(line.partition(b"#")[0] for line in content[offset:].splitlines())
        values = np.array(text.split()[:count], np.int64)
    else:
        values = np.frombuffer(content, ">u2", offset=offset)[:count].astype(np.int64)
    if len(values) < count:
        raise OSError("image file is truncated")
    if values.max() > 65535 or values.min() < 0:
        raise OSError("it holds values beyond 65535")
    return values.astype(np.uint16).reshape(image.size[1], image.size[0], bands)
