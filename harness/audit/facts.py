"""What is known of a data set and of each of its images, or clips; all checks judge by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.data.arrays import Images
from harness.data.source import Pool
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset, noun_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """One image."""

    name: str
    """Path relative to the source, with `/`; of an array, `train[7]`."""
    path: Path | None = None
    """None: it is a part of an array."""
    pool: Pool
    """Where the source has it: all are `train` where it brings no splits."""
    row: int
    """Position in the pool's arrays."""
    label: int
    part: str = ""
    """Where a sweep has it: `train`, `validation`, `test`; empty if it uses the image nowhere."""
    content: str = ""
    """SHA-256 (hex) of the file."""
    pixels: int = 0
    """A hash of the pixels as a sweep sees them; 0 if the file cannot be read."""
    failure: str = ""
    """Why the file cannot be read; empty if it can."""
    kind: str = ""
    """What kind of file it is; see `harness.data.file_kinds`."""
    size: tuple[int, int] = (0, 0)
    """Height and width of the picture, upright; (0, 0) if that is not known."""

    @property
    def split(self) -> str:
        """Where a sweep has the image, or if it uses it nowhere, where the source has it."""
        return self.part or self.pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A data set that was looked at, image by image."""

    config: DatasetConfig
    seed: int
    """Decides the validation split."""
    name: str
    classes: tuple[str, ...]
    images: tuple[ImageFacts, ...]
    arrays: dict[Pool, Images]
    """Pixels as a sweep sees them, by pool, memory-mapped: uint8 (N, H, W, C), of clips (N, T, H, W, C)."""
    dataset: Dataset | None
    """The prepared data set that a sweep would train on; None if it would refuse."""
    refused: str = ""
    """Why a sweep would refuse the data; empty if it would not."""
    said: tuple[str, ...] = ()
    """Sentences about how the source is taken."""

    @property
    def readable(self) -> list[int]:
        """Numbers of the images whose pixels are known."""
        return [number for number, image in enumerate(self.images) if not image.failure]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of an image, or of a clip's frame."""
        height, width, channels = self.example_shape[-3:]
        return height, width, channels

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Height, width, channels of an image; of a clip, before them the frames."""
        return tuple(map(int, next(iter(self.arrays.values())).shape[1:]))

    @property
    def frames(self) -> int:
        """Frames of a clip; 0 if these are images."""
        return self.example_shape[0] if len(self.example_shape) > 3 else 0

    @property
    def noun(self) -> str:
        """What one of its files is called: `image` or `clip`."""
        return noun_of(self.frames)

    def pixels(self, number: int) -> Images:
        """An image as a sweep sees it, uint8 (H, W, C), or a clip, (T, H, W, C)."""
        image = self.images[number]
        found: Images = self.arrays[image.pool][image.row]
        return found

    def label(self, number: int) -> str:
        """The name of an image's class."""
        return self.classes[self.images[number].label]

    def labels(self, numbers: Iterable[int]) -> list[str]:
        """The names of the images' classes, each once, in the order of the classes."""
        return [self.classes[label] for label in sorted({self.images[number].label for number in numbers})]

    def counts(self) -> dict[str, Counter[str]]:
        """Images by class and split, those that a sweep uses; all of the source's if it would refuse."""
        found: dict[str, Counter[str]] = {name: Counter() for name in self.classes}
        for image in self.images:
            if image.part or (self.dataset is None and not image.failure):
                found[self.classes[image.label]][image.split] += 1
        return found
