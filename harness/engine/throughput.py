"""A process that measures how fast it trains: `python -m harness.engine.throughput`.

It reads one JSON line (see `harness.engine.calibration`), makes itself ready, says so, waits for another
line, so that several begin at once, trains for the time it was given, and prints images a second.
"""

from __future__ import annotations

import json
import sys
import time

from harness.engine.worker import prepare_tensorflow

BATCHES = 8
"""In an epoch, of random images."""


def main() -> None:
    """Measure once."""
    task = json.loads(sys.stdin.readline())
    prepare_tensorflow(task["threads"])
    import numpy as np
    import tensorflow as tf

    from harness.model.preprocessing import PixelStatistics
    from harness.train.images import Chunk
    from harness.train.program import Program

    params, shape, classes = task["params"], tuple(task["image_shape"]), task["classes"]
    batch = int(params["batch_size"])
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (BATCHES * batch, *shape), np.uint8))
    labels = tf.constant(rng.integers(0, classes, BATCHES * batch, np.int32))
    order = np.arange(BATCHES * batch, dtype=np.int32).reshape(BATCHES, batch)
    rates = np.full(BATCHES, 1e-3, np.float32)
    channels = shape[2]
    program = Program(
        params,
        shape,
        classes,
        PixelStatistics((127.5,) * channels, (64.0,) * channels),
        precision=task["precision"],
    )
    program.reset(0, dropout=float(params["dropout"]))

    def train() -> None:
        program.train_epoch([Chunk(images, labels, order)], rates, 0, params)

    train()  # traced
    train()
    _say("ready")
    sys.stdin.readline()
    began, epochs = time.monotonic(), 0
    while time.monotonic() - began < task["seconds"]:
        train()
        epochs += 1
    _say(str(epochs * BATCHES * batch / (time.monotonic() - began)))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
