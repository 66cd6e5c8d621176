"""What a worker keeps warm between segments: compiled programs and resident data."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
import psutil

from harness.data.arrays import Arrays, ImagesOnDisk, load
from harness.data.feature_store import Keep
from harness.experiment.keys import body_key, program_key
from harness.experiment.parameters import unfreezes
from harness.model.preprocessing import PixelStatistics
from harness.records import Dataset, Precision, Segment
from harness.train.body import FrozenBody
from harness.train.features import cached_features
from harness.train.images import Room, SplitImages, of_fold, split_features, split_images
from harness.train.packing import on_gpu
from harness.train.program import Program
from harness.train.pulses import Beat
from harness.train.writing import Writer

STATISTICS_IMAGES = 4096
"""Images that are counted at a time."""
MOST_BODIES = 4
"""Bodies that are kept in memory at a time."""
PIXELS = "pixels"
"""What pixels in memory are known by."""
Ready: TypeAlias = Callable[[str, int, float], None]
Resident: TypeAlias = tuple[str, int, int, str]
"""Study folder, trial and epoch of the state that a program is in, and the program's key."""


@dataclass(slots=True)
class WorkerCache:
    """What a worker keeps warm between segments: compiled programs and resident data."""

    programs_memory: int = 2 << 30
    """Bytes beyond which the programs used longest ago are dropped before another is made."""
    data_memory: int = 2 << 30
    """Bytes of training and validation images up to which they are resident."""
    device_data: int | None = None
    """Bytes of training images up to which they are resident on a GPU; None: they count like the others."""
    programs: dict[str, Program] = field(default_factory=dict)
    """Compiled programs by their keys, the one used last at the end."""
    sizes: dict[str, int] = field(default_factory=dict)
    """What each program added to the process's memory, in bytes."""
    _before: int = 0
    resident: Resident | None = None
    """The trial that the program used last still holds, as it was at the end of its segment."""
    data_key: tuple[str, str] | None = None
    arrays: Arrays | None = None
    _images: dict[str, SplitImages] = field(default_factory=dict)
    """What is in memory: pixels, and features by their digest, those used last at the end."""
    _fold: tuple[SplitImages, int, SplitImages] | None = None
    """All images of the fold used last, its number, and the fold."""
    _bodies: dict[str, FrozenBody] = field(default_factory=dict)
    """By what decides them, the one used last at the end."""
    _statistics: PixelStatistics | None = None
    writer: Writer = field(default_factory=Writer)
    files: Future[None] | None = None
    """What is still being written of the segment before."""

    def open(self, dataset: Dataset) -> Arrays:
        """Make the data set resident, unless it is already."""
        key = (dataset.digest, dataset.split)
        if self.data_key != key or self.arrays is None:
            self.arrays = load(dataset)
            self._images.clear()
            self._fold = None
            self._bodies.clear()
            self._statistics = None
            self.programs.clear()
            self.sizes.clear()
            self.resident = None
            self.data_key = key
        return self.arrays

    def body(self, segment: Segment) -> FrozenBody | None:
        """The part of the segment's network whose weights come from elsewhere; None if there is none.

        Raises:
            HarnessError: its weights are not to be had, or are not those that the study began with.
        """
        if body_key(segment.params) is None:
            return None
        key = f"{body_key(segment.params)} {segment.weights}"
        body = self._bodies.pop(key, None)
        if body is None:
            while len(self._bodies) >= MOST_BODIES:
                del self._bodies[next(iter(self._bodies))]
            body = FrozenBody(segment.params, segment.dataset.example_shape, segment.weights)
        self._bodies[key] = body
        return body

    def images(
        self, segment: Segment, body: FrozenBody | None, beat: Beat, keep: Keep, ready: Ready
    ) -> SplitImages:
        """What the segment trains on and is evaluated with: pixels, or features that a body makes of them.

        All folds share the images in memory. They are pixels where the body is trained as well. What is in
        memory takes no more than `data_memory` bytes, and on a GPU `device_data`; what was used longest ago
        makes room.

        Args:
            segment: on the open data set.
            body: of its network.
            beat: called while features are computed; what it raises ends that.
            keep: decides what happens where the disk has no room for features.
            ready: told how many images' features this process has computed, and the seconds, where it has
                looked for them.
        """
        every = self._every_image(segment, body, beat, keep, ready)
        if segment.fold is None:
            return every
        if self._fold is None or self._fold[0] is not every or self._fold[1] != segment.fold:
            assert self.arrays is not None
            self._fold = every, segment.fold, of_fold(every, self.arrays.held_out(segment.fold))
        return self._fold[2]

    def _every_image(
        self, segment: Segment, body: FrozenBody | None, beat: Beat, keep: Keep, ready: Ready
    ) -> SplitImages:
        """As `images`, but of a fold all images."""
        assert self.arrays is not None
        if body is None or unfreezes(segment.params):
            return self._held(PIXELS) or self._hold(PIXELS, partial(split_images, self.arrays))
        views = int(segment.params["views"])
        digest = body.digest(f"{segment.dataset.digest} {segment.dataset.split}", views)
        if (known := self._held(digest)) is not None:
            return known
        began = time.monotonic()
        train, validation, computed = cached_features(self.arrays, body, views, beat, keep)
        ready(digest, computed, time.monotonic() - began)
        return self._hold(digest, partial(split_features, train, validation, self.arrays))

    def _held(self, name: str) -> SplitImages | None:
        found = self._images.pop(name, None)
        if found is not None:
            self._images[name] = found
        return found

    def _hold(self, name: str, split: Callable[[Room], SplitImages]) -> SplitImages:
        """Take images into memory, of which `split` makes as many resident as there is room for."""
        on_device = None if self.device_data is None or not on_gpu() else self.device_data
        most = Room(self.data_memory, on_device)
        wanted = split(Room(0, None if on_device is None else 0))
        self._fold = None
        while self._images and most.less(self._images.values()).lacks(wanted, most):
            del self._images[next(iter(self._images))]
        self._images[name] = split(most.less(self._images.values()))
        return self._images[name]

    def program(self, segment: Segment, body: FrozenBody | None) -> Program:
        """The compiled program for this configuration on the open data set, made on first use."""
        before = "" if body is None else body.key
        dataset, key = segment.dataset, f"{cache_key(segment)} {before}"
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
                dataset.example_shape,
                len(dataset.classes),
                self.statistics(),
                microbatches=segment.microbatches,
                precision=precision_of(segment),
                body=body,
            )
        self.programs[key] = program
        return program

    def statistics(self) -> PixelStatistics:
        """Of the open data set's training images, which are counted when this is first asked for."""
        assert self.arrays is not None
        if self._statistics is None:
            self._statistics = _count_pixels(self.arrays.on_disk("train")[0])
        return self._statistics

    def measure_program(self) -> None:
        """After the first segment of the program used last: what it has added to the process."""
        last = next(reversed(self.programs))
        if last not in self.sizes:
            self.sizes[last] = max(0, psutil.Process().memory_info().rss - self._before)


def cache_key(segment: Segment) -> str:
    """What decides the program of a segment on the open data set."""
    return f"{program_key(segment.params)}/{segment.microbatches}/{precision_of(segment)}"


def precision_of(segment: Segment) -> Precision:
    """What the layers of the segment's program compute with."""
    # Heads are small: for them coarser numbers would save nothing.
    on_features = body_key(segment.params) is not None and not unfreezes(segment.params)
    return "float32" if on_features else segment.precision


def _count_pixels(images: ImagesOnDisk) -> PixelStatistics:
    """Mean and standard deviation of every channel of the training images, uint8 (N, H, W, C) or of clips
    (N, T, H, W, C)."""
    channels, pictures = images.pool.shape[-1], math.prod(images.pool.shape[1:-3])
    most = max(1, STATISTICS_IMAGES // pictures)
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(images), most):
        some = images[start : start + most]
        for channel in range(channels):
            counts[channel] += np.bincount(some[..., channel].ravel(), minlength=256)
    values = np.arange(256)
    means = [float((own * values).sum() / own.sum()) for own in counts]
    deviations = [
        float(np.sqrt((own * (values - mean) ** 2).sum() / own.sum()))
        for own, mean in zip(counts, means, strict=True)
    ]
    return PixelStatistics(tuple(means), tuple(deviations))
