"""What has to be known of a model to classify files with it, wherever the model is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import ServingError


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A Keras model, and how training made pixels of files of images or clips."""

    name: str
    """What people call it: the bundle's folder, or the trial."""
    file: Path
    """The `.keras` file."""
    sha256: str
    """The SHA-256 of the file as it was written, in hex."""
    classes: tuple[str, ...]
    """Names in the order of the outputs."""
    image_shape: tuple[int, int, int]
    """Height, width, channels (1 or 3) of an image, or of a clip's frame."""
    pixel_range: tuple[float, float] | None
    """In files of more than 8 bits a channel, the values that become 0 and 255; None: the upper byte."""
    max_pixels: int
    """Files of more pixels are refused."""
    frames: int = 0
    """Frames that the model takes of a clip; 0: it takes images."""

    @property
    def example_shape(self) -> tuple[int, ...]:
        """What the model is given of a file: height, width, channels; of a clip, before them the frames."""
        return (self.frames, *self.image_shape) if self.frames else self.image_shape

    @property
    def noun(self) -> str:
        """What a file is called that the model classifies: `image` or `clip`."""
        return "clip" if self.frames else "image"

    def refuse_clips(self, command: str) -> None:
        """Raise ServingError where a command that is for images alone is given a model of clips."""
        if self.frames:
            raise ServingError(
                f"{self.name} classifies clips of {self.frames} frames, and `{command}` takes models of "
                "images only. `harness predict` and `harness serve` take those of clips."
            )
