"""Images that are drawn: bright on the left or on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.source import ArraySource, ImageArrays
from harness.data.sources.kind import SourceKind, Unpack

if TYPE_CHECKING:
    from harness.experiment.dataset_config import DatasetConfig


def _draw() -> ImageArrays:
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.arange(80, dtype=np.int32) % 2
    images = rng.integers(0, 99, (80, 8, 8, 1), np.uint8)
    images[labels == 0, :, :4] += 150
    images[labels == 1, :, 4:] += 150
    return ImageArrays("drawn", ("left", "right"), {"train": (images, labels)})


def _find(config: DatasetConfig, _: Unpack) -> ArraySource:
    return ArraySource("drawn", "drawn 1", _draw)


KIND = SourceKind(
    given="drawn",
    about="Images that are drawn.",
    claims=lambda source: source == "drawn",
    find=_find,
)
