"""What a format of exported models is: how a model is written, and how it is loaded again to be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.records import Dataset

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelToExport:
    """A trained model, ready to be written in any format."""

    file: Path
    """The study's `.keras` file."""
    network: Any
    """The `keras.Model` in it, from raw pixels float32 (N, H, W, C), 0 to 255, to probabilities (N, K)."""
    dataset: Dataset
    """Shape, classes and range of pixels."""
    max_pixels: int
    """Larger image files were refused in training, and are to be refused."""

    def predict(self, images: Images) -> Probabilities:
        """What the trained model makes of raw pixels uint8 (N, H, W, C): float32 (N, K)."""
        probabilities: Probabilities = self.network(images.astype("float32")).numpy()
        return probabilities


@dataclass(frozen=True, slots=True)
class SeenFile:
    """What a model that reads image files has made of one."""

    pixels: Images
    """What the network saw, uint8 (H, W, C)."""
    probabilities: Probabilities
    """float32 (K,)."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """The entry of a loaded model that takes image files."""

    entry: str
    read: Callable[[bytes], SeenFile | str]
    """Is given the bytes of a file. Of a file that is refused it returns why, such as `the file is
    damaged.`"""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was loaded from a bundle, as its users would."""

    pixels: Mapping[str, Callable[[Images], Probabilities]]
    """Every entry that takes pixels, the usual one first; the empty name is the model itself. From raw pixels
    uint8 (N, H, W, C) to float32 (N, K); it raises ExportError if what it says contradicts itself."""
    files: FileReader | None = None
    """What reads image files; None if the format takes none."""


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One format."""

    file: str
    """The file or folder in the bundle."""
    title: str
    """What people call the format, within a sentence."""
    about: str
    """A sentence for people."""
    write: Callable[[ModelToExport, Path], None]
    """Writes the file or folder at the path, which does not exist."""
    load: Callable[[Path, Dataset], LoadedModel]
    """Loads what `write` has written; raises ExportError if that cannot be done."""
    usage: Callable[[Dataset, tuple[str, ...]], str]
    """The section of the bundle's README on how to use it, in Markdown, for a data set and the formats of
    image files that it was found to read."""
    entries: Mapping[str, str] = field(default_factory=dict)
    """What each entry takes, by name, for programs that read the bundle's metadata."""
