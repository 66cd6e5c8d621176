"""How long a worker may say nothing before it counts as hung.

A worker speaks after every epoch. So the limit goes by what an epoch of this configuration should take,
judged by the epochs so far; and a worker that keeps a processor busy is training, however long it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.experiment.parameters import PLUGIN
from harness.records import Params, Segment

FIRST_SECONDS = 900.0
"""The limit before any epoch of the study has been timed, and at least that for a plug-in's network, whose
size nobody knows."""
START_SECONDS = 120.0
EPOCHS = 10.0
"""Afterwards: so many seconds for compiling, and so many times what the epoch should take."""
WATCHED_SECONDS = 20.0
"""For so long a worker beyond its limit is watched,"""
BUSY = 0.05
"""and if it used this share of a processor meanwhile, it is at work."""


@dataclass(slots=True)
class EpochTimes:
    """What epochs have taken in this session."""

    longest: float | None = None
    """Seconds of the longest one; None before any has ended."""
    _slowest: float = 0.0
    """Seconds for an image and a multiply-add, the most so far."""

    def learn(self, segment: Segment, seconds: float) -> None:
        """An epoch of the segment took so many seconds."""
        self.longest = max(self.longest or 0.0, seconds)
        work = _work(segment)
        if work:
            self._slowest = max(self._slowest, seconds / work)

    def limit(self, segment: Segment) -> float:
        """Seconds for which whoever runs the segment may say nothing."""
        if self.longest is None:
            return FIRST_SECONDS
        work = _work(segment)
        limit = START_SECONDS + EPOCHS * max(self.longest, self._slowest * (work or 0.0))
        return limit if work else max(limit, FIRST_SECONDS)


def _work(segment: Segment) -> float | None:
    """Roughly the multiply-adds of an epoch's forward passes; None for a plug-in."""
    if segment.params["family"] == PLUGIN:
        return None
    images = segment.dataset.counts["train"] * float(segment.params["train_fraction"])
    return images * multiply_adds(segment.params, segment.dataset.image_shape)


def multiply_adds(params: Params, image_shape: tuple[int, int, int]) -> float:
    """Roughly what one image costs on its way through a built-in network, by its largest layers.

    Args:
        params: a complete configuration.
        image_shape: height, width, channels.
    """
    height, width, channels = image_shape
    depth, filters = int(params["depth"]), int(params["width"])
    family = params["family"]
    if family == "rnn":
        gates = 3 if params["cell"] == "gru" else 4
        ways = 2 if params["bidirectional"] else 1
        first = filters * (width * channels + filters)
        return height * gates * ways * (first + (depth - 1) * filters * (ways + 1) * filters)
    if family == "baseline":
        return height * width * (9 * channels * 32 + 9 * 32 * 64 / 4 + 64 * 64 / 16)
    if family == "resnet":
        layers = [2 * depth] * int(params["stages"])
        area = 9
    else:
        layers = [int(params["convs"])] * depth
        area = int(params["kernel_size"]) ** 2
    total, before = 0.0, channels
    for convolutions in layers:
        for _ in range(convolutions):
            total += height * width * area * before * filters
            before = filters
        if min(height, width) >= 4:
            height, width, filters = height // 2, width // 2, min(2 * filters, 512)
    return total
