"""What has to be known of a model to classify image files with it, wherever the model is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A Keras model, and how training made pixels of image files."""

    name: str
    """What people call it: the bundle's folder, or the trial."""
    file: Path
    """The `.keras` file."""
    sha256: str
    """The SHA-256 of the file as it was written, in hex."""
    classes: tuple[str, ...]
    """Names in the order of the outputs."""
    image_shape: tuple[int, int, int]
    """Height, width, channels (1 or 3)."""
    pixel_range: tuple[float, float] | None
    """In files of more than 8 bits a channel, the values that become 0 and 255; None: the upper byte."""
    max_pixels: int
    """Files of more pixels are refused."""
