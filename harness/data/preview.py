"""What is found where a data set is a folder or a list, before anything is decoded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.data.source import POOLS, ImageFiles
from harness.data.sources import glance
from harness.data.target_size import target_size
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

SAMPLE = 50
"""Files whose headers are looked at."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A data set at a glance."""

    found: str
    """The source, and how many images and classes it has, as far as that can be told without decoding."""
    notes: tuple[str, ...] = ()
    """Sentences about how the source is taken, or why it cannot be."""
    size: tuple[int, int] | None = None
    """Height and width that images would be brought to, judged by a few; None if that cannot be told."""


def preview(config: DatasetConfig) -> Preview:
    """Look at a data set; one that is missing or broken is told in the notes, and is no error."""
    try:
        source = glance(config)
    except DataError as error:
        return Preview(config.source, (str(error),))
    if not isinstance(source, ImageFiles):
        return Preview(config.source)
    counts = Counter(file.pool for file in source.files)
    images = ", ".join(f"{counts[pool]:,} {pool}" for pool in POOLS if counts[pool])
    return Preview(
        f"{config.source}: {images} {config.noun}s, {len(source.classes)} classes (nothing is decoded)",
        tuple(source.warnings),
        _size(source, config),
    )


def _size(source: ImageFiles, config: DatasetConfig) -> tuple[int, int] | None:
    try:
        return target_size(source, config, SAMPLE)[0]
    except DataError:
        return None
