"""How fast a configuration trains in each precision."""

from __future__ import annotations

import time
from typing import get_args

import tensorflow as tf

from harness.records import Params, Precision
from harness.train.benchmark import BATCHES, benchmark

SHORTEST_PULSE, LONGEST_STEP = 0.1, 0.3
"""Seconds: of a small network several steps are timed at a time, of a large one not the whole batch."""
MOST_STEPS = 64
TURNS, FEWEST_TURNS = 12, 2
"""How often each precision is timed: as there is time for, but not more seldom than a comparison needs."""


def step_seconds(params: Params, image_shape: list[int], classes: int, seconds: float) -> dict[str, float]:
    """Train a little on random images in every precision, in turn, and keep the best time of each.

    A pulse that something else on the machine has slowed down therefore decides nothing.

    Args:
        params: a complete configuration.
        image_shape: height, width, channels; of clips, before them the frames.
        classes: how many.
        seconds: for all of it. Only compiling can take longer.

    Returns:
        The seconds of a step by precision, each of equally many images.

    Raises:
        TimeoutError: compiling for one precision alone has taken longer.
    """
    began = time.perf_counter()
    batch = int(params["batch_size"])
    # A GPU compiles anew for every number of images, and has no trouble with a whole batch.
    few = batch if tf.config.list_physical_devices("GPU") else max(1, batch // BATCHES)
    trained = {}
    for precision in get_args(Precision):
        if time.perf_counter() - began > seconds:
            raise TimeoutError(f"compiling takes longer than {seconds:g} s")
        trained[precision] = benchmark(params, tuple(image_shape), classes, precision)
        trained[precision](1, few)  # traced
    slowest = max(train(1, few) for train in trained.values())
    images = min(batch, max(1, int(few * LONGEST_STEP / slowest)))
    for train in trained.values():
        train(1, images)  # oneDNN prepares itself for so many
    best = {precision: train(1, images) for precision, train in trained.items()}
    steps = min(MOST_STEPS, max(1, round(SHORTEST_PULSE / min(best.values()))))
    for turn in range(TURNS):
        if turn >= FEWEST_TURNS and time.perf_counter() - began > seconds:
            break
        for precision, train in trained.items():
            best[precision] = min(best[precision], train(steps, images) / steps)
    return best
