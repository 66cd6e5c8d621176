"""What a worker keeps warm between segments: compiled programs and resident data."""

from __future__ import annotations

import gc
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import psutil

from harness.data.arrays import Arrays, ImagesOnDisk, load
from harness.experiment.parameters import program_key
from harness.model.preprocessing import PixelStatistics
from harness.records import Dataset, Segment
from harness.train.images import SplitImages, split_images
from harness.train.program import Program
from harness.train.writing import Writer

STATISTICS_IMAGES = 4096
"""Images that are counted at a time."""
Resident: TypeAlias = tuple[str, int, int, int]
"""Study folder, trial, epoch and microbatches of the state that a program is in."""


@dataclass(slots=True)
class WorkerCache:
    """What a worker keeps warm between segments: compiled programs and resident data."""

    programs_memory: int = 2 << 30
    """Bytes beyond which the programs used longest ago are dropped before another is made."""
    data_memory: int = 2 << 30
    """Bytes of training and validation images up to which they are resident."""
    programs: dict[str, Program] = field(default_factory=dict)
    """Compiled programs by their keys, the one used last at the end."""
    sizes: dict[str, int] = field(default_factory=dict)
    """What each program added to the process's memory, in bytes."""
    _before: int = 0
    resident: Resident | None = None
    """The trial that the program used last still holds, as it was at the end of its segment."""
    data_key: tuple[str, str] | None = None
    arrays: Arrays | None = None
    images: SplitImages | None = None
    statistics: PixelStatistics | None = None
    writer: Writer = field(default_factory=Writer)
    files: Future[None] | None = None
    """What is still being written of the segment before."""

    def open(self, dataset: Dataset) -> Arrays:
        """Make the data set resident, unless it is already."""
        key = (dataset.digest, dataset.split)
        if self.data_key != key or self.arrays is None:
            self.arrays = load(dataset)
            self.images = split_images(self.arrays, self.data_memory)
            self.statistics = _statistics(self.arrays.on_disk("train")[0])
            self.programs.clear()
            self.sizes.clear()
            self.resident = None
            self.data_key = key
        return self.arrays

    def program(self, segment: Segment) -> Program:
        """The compiled program for this configuration on the open data set, made on first use."""
        assert self.statistics is not None
        dataset = segment.dataset
        key = f"{program_key(segment.params)}/{segment.microbatches}/{segment.precision}"
        program = self.programs.pop(key, None)
        if program is None:
            while self.programs and sum(self.sizes.values()) > self.programs_memory:
                oldest = next(iter(self.programs))
                del self.programs[oldest]
                self.sizes.pop(oldest, None)  # not known if its first segment failed
                gc.collect()  # a network and its graphs refer to each other
            self._before = psutil.Process().memory_info().rss
            program = Program(
                segment.params,
                dataset.image_shape,
                len(dataset.classes),
                self.statistics,
                microbatches=segment.microbatches,
                precision=segment.precision,
            )
        self.programs[key] = program
        return program

    def measure_program(self) -> None:
        """After the first segment of the program used last: what it has added to the process."""
        last = next(reversed(self.programs))
        if last not in self.sizes:
            self.sizes[last] = max(0, psutil.Process().memory_info().rss - self._before)


def _statistics(images: ImagesOnDisk) -> PixelStatistics:
    """Mean and standard deviation of every channel of the training images (uint8, N×H×W×C)."""
    channels = images.pool.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(images), STATISTICS_IMAGES):
        some = images[start : start + STATISTICS_IMAGES]
        for channel in range(channels):
            counts[channel] += np.bincount(some[..., channel].ravel(), minlength=256)
    values = np.arange(256)
    means = [float((own * values).sum() / own.sum()) for own in counts]
    deviations = [
        float(np.sqrt((own * (values - mean) ** 2).sum() / own.sum()))
        for own, mean in zip(counts, means, strict=True)
    ]
    return PixelStatistics(tuple(means), tuple(deviations))
