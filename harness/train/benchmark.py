"""Training on random images, to see how fast a configuration trains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from harness.model.preprocessing import PixelStatistics
from harness.records import Params, Precision
from harness.train.images import Chunk
from harness.train.program import Program

BATCHES = 8
"""Batches in an epoch."""


def benchmark(
    params: Params, image_shape: tuple[int, int, int], classes: int, precision: Precision
) -> Callable[[], int]:
    """A function that trains one epoch and returns how many images that were; the first call traces.

    Args:
        params: a complete configuration.
        image_shape: height, width, channels.
        classes: how many.
        precision: what layers compute with.
    """
    batch, channels = int(params["batch_size"]), image_shape[2]
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (BATCHES * batch, *image_shape), np.uint8))
    labels = tf.constant(rng.integers(0, classes, BATCHES * batch, np.int32))
    indices = np.arange(BATCHES * batch, dtype=np.int32).reshape(BATCHES, batch)
    statistics = PixelStatistics((127.5,) * channels, (64.0,) * channels)
    program = Program(params, image_shape, classes, statistics, precision=precision)
    program.reset(0, dropout=float(params["dropout"]))
    rates = np.full(BATCHES, 1e-3, np.float32)

    def train() -> int:
        program.train_epoch([Chunk(images, labels, indices)], rates, 0, params)
        return int(indices.size)

    return train
