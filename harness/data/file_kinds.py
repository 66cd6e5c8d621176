"""What kind of file an image is: format, colours, depth, transparency, orientation.

Files of one kind take the same way through every decoder, so a few of each kind stand for all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112
COLOURS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey",
    "La": "grey",
    "I": "grey",
    "F": "grey, floating-point",
    "P": "palette",
    "PA": "palette",
    "CMYK": "CMYK",
    "YCbCr": "YCbCr",
    "LAB": "Lab",
}
"""Words for the modes of Pillow; pictures in colour need none."""
SEVERAL = "several pictures"
"""The word for animations, and for files of several pages."""
WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})


def kind_of(image: Image.Image, *, deep: bool) -> str:
    """The kind in a few words, such as `JPEG`, `PNG, grey, 16 bits` or `JPEG, turned (EXIF 6)`.

    Args:
        image: as Pillow opened it; whether its pixels were read does not matter.
        deep: whether it has more than 8 bits a channel.
    """
    words = [image.format or "unknown"]
    if image.mode in COLOURS or image.mode.startswith("I;16"):
        words.append(COLOURS.get(image.mode, "grey"))
    # A BMP's 16 bits are those of all three colours together.
    if (deep and image.format != "BMP") or image.mode == "I" or image.mode.startswith("I;16"):
        words.append("16 bits")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        words.append("transparent")
    if image.info.get("progressive"):
        words.append("progressive")
    if image.info.get("interlace"):
        words.append("interlaced")
    orientation = image.getexif().get(ORIENTATION, 1)
    if orientation in (2, 3, 4, 5, 6, 7, 8):
        words.append(f"turned (EXIF {orientation})")
    if getattr(image, "n_frames", 1) > 1:
        words.append(SEVERAL)
    return ", ".join(words)


def kind_of_file(path: Path) -> str:
    """The kind from the header alone; empty for what is no image."""
    from PIL import Image

    from harness.data.decode import FORMATS

    try:
        with Image.open(path, formats=FORMATS) as image:
            deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
            return kind_of(image, deep=deep)
    except Exception:  # noqa: BLE001 - a damaged file may fail in any way
        return ""


def format_of(kind: str) -> str:
    """The format in a kind's words."""
    return kind.split(",", 1)[0]
