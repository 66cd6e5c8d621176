"""What a bundle's metadata say of the model's input and output; of this version, and of earlier ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from harness.data.decode import MAX_PIXELS
from harness.errors import ServingError
from harness.messages import shown
from harness.paths.bundle import LABELS, METADATA, OLD_METADATA

METADATA_FILES = (METADATA, OLD_METADATA)
"""The present name, and that of earlier versions; both have the same keys."""
CHANNELS = (1, 3)
_SPREAD = re.compile(r"the values from (\S+) to (\S+) spread over 0 to 255")
"""How earlier versions said the range of pixels: for people only."""


def read_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of a bundle.

    Raises:
        ServingError: there are none, or they cannot be read.
    """
    file = next((folder / name for name in METADATA_FILES if (folder / name).is_file()), None)
    if file is None:
        raise ServingError(f"The bundle {folder} has no {' or '.join(METADATA_FILES)}.")
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ServingError(f"{file} cannot be read: {reason}.") from error
    if not isinstance(found, dict):
        raise ServingError(f"{file} does not describe a model.")
    return found


def classes_of(folder: Path, metadata: dict[str, Any]) -> tuple[str, ...]:
    """The class names in the order of the outputs, from the labels and from the metadata.

    Raises:
        ServingError: there are none, or the two differ.
    """
    output = metadata.get("output")
    named = output.get("classes") if isinstance(output, dict) else None
    if not isinstance(named, list) or not named:
        raise ServingError(f"The metadata of the bundle {folder} name no classes.")
    classes = tuple(str(name) for name in named)
    try:
        labels = (folder / LABELS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServingError(f"{folder / LABELS} cannot be read.") from error
    if labels != "".join(f"{name}\n" for name in classes):
        raise ServingError(f"{folder / LABELS} names other classes than the metadata beside it.")
    return classes


def image_shape_of(folder: Path, metadata: dict[str, Any]) -> tuple[int, int, int]:
    """Height, width and channels of the images or frames that the model takes; raises ServingError."""
    described = _input(metadata)
    height, width, channels = (described.get(key) for key in ("height", "width", "channels"))
    for value in (height, width, channels):
        if type(value) is not int or value < 1:
            raise ServingError(f"The metadata of the bundle {folder} do not say the size of its images.")
    assert height is not None
    assert width is not None
    if channels not in CHANNELS:
        raise ServingError(f"The metadata of the bundle {folder} say {shown(channels)} channels, not 1 or 3.")
    return height, width, channels


def pixel_range_of(folder: Path, metadata: dict[str, Any]) -> tuple[float, float] | None:
    """What becomes 0 and 255 in files of more than 8 bits a channel; None: the upper byte counts.

    Raises:
        ServingError: what the metadata say is no range.
    """
    described = _input(metadata)
    if "pixel_range" not in described:  # an earlier version's
        files = described.get("files")
        text = str(files.get("more_than_8_bits", "")) if isinstance(files, dict) else ""
        found = _SPREAD.search(text)
        said: Any = found.groups() if found else None
    else:
        said = described["pixel_range"]
    if said is None:
        return None
    try:
        low, high = (float(value) for value in said)
    except (TypeError, ValueError) as error:
        raise ServingError(
            f"The metadata of the bundle {folder} have {shown(said)} for the range of pixels, which is none."
        ) from error
    return low, high


def frames_of(folder: Path, metadata: dict[str, Any]) -> int:
    """Frames that the model takes of a clip, 0 if it takes images; raises ServingError."""
    said = _input(metadata).get("frames")
    if said is None:
        return 0
    if type(said) is not int or said < 1:
        raise ServingError(f"The metadata of the bundle {folder} have {shown(said)} frames of a clip.")
    return said


def max_pixels_of(metadata: dict[str, Any]) -> int:
    """Pixels of the largest image file that is read."""
    said = _input(metadata).get("max_pixels")
    return said if type(said) is int and said > 0 else MAX_PIXELS


def _input(metadata: dict[str, Any]) -> dict[str, Any]:
    described = metadata.get("input")
    return described if isinstance(described, dict) else {}
