"""How fast this process trains: a few networks, each heavy in another kind of work, are timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict

import tensorflow as tf

from harness.experiment.parameters import complete
from harness.experiment.rates import DEFAULT_RATES, Work, fitted, training_step
from harness.model.network import ImageShape
from harness.records import Cost, Params, Precision
from harness.train.benchmark import BATCHES, benchmark
from harness.train.cost import cost

CLASSES = 10
SECONDS = 0.3
"""How long each network trains after it has been compiled."""
LEAST_EPOCHS = 3
"""Epochs that each network trains at least."""
PROBES: tuple[tuple[Params, ImageShape], ...] = (
    # What every step and layer costs
    ({"family": "cnn", "depth": 4, "width": 8, "batch_size": 8}, (8, 8, 1)),
    # Multiply-adds
    (
        {"family": "cnn", "depth": 2, "convs": 2, "width": 64, "batch_norm": False, "batch_size": 8},
        (32, 32, 3),
    ),
    # Activations
    ({"family": "cnn", "depth": 2, "width": 16, "batch_size": 16}, (48, 48, 3)),
    # Weights
    ({"family": "cnn", "depth": 3, "width": 96, "batch_size": 16}, (8, 8, 3)),
    # Loops
    ({"family": "rnn", "width": 16, "cell": "gru", "bidirectional": False, "batch_size": 16}, (12, 12, 1)),
    # Pixels
    ({"family": "cnn", "depth": 1, "width": 4, "batch_size": 16, "augmentation": "trivial"}, (64, 64, 3)),
)
"""Configurations and the shapes of their images."""


def rates(precision: Precision) -> dict[str, float]:
    """Seconds for each kind of work, by the names of `harness.experiment.rates.Rates`.

    Args:
        precision: what layers compute with.
    """
    measured = [_measured(complete(params), shape, precision) for params, shape in PROBES]
    return asdict(fitted(measured, DEFAULT_RATES[precision]))


def _measured(params: Params, shape: ImageShape, precision: Precision) -> tuple[Work, float]:
    """The work of a step, and the seconds that it takes: the median of several epochs, the first compiles."""
    train, images = benchmark(params, shape, CLASSES, precision), int(params["batch_size"])
    train(BATCHES, images)
    clock = _clock()
    epochs: list[float] = []
    began = time.monotonic()
    while len(epochs) < LEAST_EPOCHS or time.monotonic() - began < SECONDS:
        before = clock()
        train(BATCHES, images)
        epochs.append(clock() - before)
    work = training_step(params, Cost.of(cost(params, shape, CLASSES)), images)
    return work, statistics.median(epochs) / BATCHES


def _clock() -> Callable[[], float]:
    """The processor's time, where one thread does all: others who use the machine do not count.

    With several threads, or on a GPU, it is the clock on the wall.
    """
    one_thread = tf.config.threading.get_intra_op_parallelism_threads() == 1
    alone = one_thread and not tf.config.list_physical_devices("GPU")
    return time.process_time if alone else time.perf_counter
