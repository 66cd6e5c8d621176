"""What a format of exported models is: how a model is written, and how it is tried with its own runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.deploy.tolerance import FLOAT32, Tolerance
from harness.records import Dataset

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.deploy.runtimes.answers import Answers

    Images = npt.NDArray[np.uint8]
    Probabilities = npt.NDArray[np.float32]


class Convert(Protocol):
    """Has a model converted in a process of its own, which may crash."""

    def __call__(self, function: str, target: Path) -> None:
        """Write the file `target`.

        Args:
            function: `module:name` of a function of `harness.deploy.formats` that is given a
                `harness.deploy.converting.Convertible` and the target.
            target: does not exist.

        Raises:
            ExportError: it could not be converted.
        """


@dataclass(frozen=True, slots=True)
class ModelToExport:
    """A trained model, ready to be written in any format."""

    file: Path
    """The study's `.keras` file."""
    network: Any
    """The `keras.Model` in it, from raw pixels float32 (N, H, W, C), or (N, T, H, W, C) of clips, 0 to 255,
    to probabilities (N, K)."""
    dataset: Dataset
    """Shape, classes and range of pixels."""
    max_pixels: int
    """Larger image files were refused in training, and are to be refused."""
    convert: Convert
    """Used by formats whose converter is another library."""

    def predict(self, images: Images) -> Probabilities:
        """What the trained model makes of raw pixels uint8 (N, …) on the CPU: float32 (N, K)."""
        from harness.deploy.predicting import predict_on_cpu

        return predict_on_cpu(self.network, images)


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


def zeros(dataset: Dataset) -> str:
    """Python code for a batch of one that a model of the data set takes, for examples of how it is used."""
    return f'np.zeros({(1, *dataset.example_shape)}, "float32")'


def _never(_: Any) -> str:
    return ""


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
    """Writes the file or folder at the path, which does not exist; raises ExportError if it cannot."""
    answer: Callable[[Path, Dataset, Images], Answers]
    """Loads what `write` has written, as its users would, and has it predict raw pixels uint8 (N, H, W, C),
    or (N, T, H, W, C) of clips; raises ExportError if that cannot be done, or if what the model says
    contradicts itself."""
    usage: Callable[[Dataset, tuple[str, ...]], str]
    """The section of the bundle's README on how to use it, in Markdown, for a data set and the formats of
    image files that it was found to read."""
    reader: Callable[[Path, Dataset], FileReader] | None = None
    """Loads what `write` has written, to read image files; None if the format takes none. Models of clips
    take none in any format."""
    entries: Mapping[str, str] = field(default_factory=dict)
    """What each entry takes that is given pixels, by name, for programs that read the bundle's metadata; the
    usual one first."""
    file_entries: Mapping[str, str] = field(default_factory=dict)
    """The same of entries that are given the bytes of image files. Models of clips have none."""
    extra: str = ""
    """The extra of harness that has its libraries; empty: none is needed."""
    packages: tuple[str, ...] = ()
    """The distributions that are needed to write and to try it, beyond harness's own."""
    runtime: tuple[str, ...] = ()
    """The distributions that users of the file need."""
    tolerance: Tolerance = FLOAT32
    """How far it may be from the trained model."""
    needs_training_images: bool = False
    """Whether it is quantised by what training images do to the network."""
    refuses: Callable[[Any], str] = _never
    """Why a `keras.Model` is known not to work in this format, in a sentence; empty if it is not."""
