"""Training on random images, to see how fast a configuration trains."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from harness.model.network import ImageShape
from harness.model.preprocessing import PixelStatistics
from harness.records import Params, Precision
from harness.train.images import Chunk
from harness.train.packing import as_fed
from harness.train.program import Program

BATCHES = 8
"""Batches of different images that there are."""


def benchmark(
    params: Params, image_shape: ImageShape, classes: int, precision: Precision
) -> Callable[[int, int], float]:
    """A function that trains so many steps of so many images each, and returns how many seconds that took.

    Its first call traces.

    Args:
        params: a complete configuration.
        image_shape: height, width, channels; of clips, before them the frames.
        classes: how many.
        precision: what layers compute with.
    """
    number, channels = BATCHES * int(params["batch_size"]), image_shape[-1]
    rng = np.random.default_rng(0)
    images = as_fed(rng.integers(0, 256, (number, *image_shape), np.uint8))
    labels = tf.constant(rng.integers(0, classes, number, np.int32))
    statistics = PixelStatistics((127.5,) * channels, (64.0,) * channels)
    program = Program(params, image_shape, classes, statistics, precision=precision)
    program.reset(0, dropout=float(params["dropout"]))

    def train(steps: int, batch: int) -> float:
        indices = (np.arange(steps * batch, dtype=np.int32) % number).reshape(steps, batch)
        rates = np.full(steps, 1e-3, np.float32)
        began = time.perf_counter()
        program.train_epoch([Chunk(images, labels, indices)], rates, 0, params)
        return time.perf_counter() - began

    return train
