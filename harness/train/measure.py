"""What can be known of a network before it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from harness.data.arrays import Images
from harness.train.metrics import Logits
from harness.train.program import Program

WARM_UP = 5
RUNS = 30


class InfeasibleError(Exception):
    """The network exceeds a limit of the experiment."""


def measure(program: Program, predict: Callable[[Images], Logits], wanted: Sequence[str]) -> dict[str, float]:
    """`parameters`: the number of weights. `latency_ms`: one image through the compiled prediction.

    The latency is the median of 30 calls, in milliseconds, on this worker's threads.

    Args:
        program: has the network.
        predict: gives its logits of one raw image, through the body of the network as well.
        wanted: names of what is to be measured.
    """
    found: dict[str, float] = {}
    whole = program.stock_network
    if "parameters" in wanted:
        found["parameters"] = float(whole.count_params())
    if "latency_ms" in wanted:
        image = np.zeros((1, *whole.input_shape[1:]), np.uint8)
        seconds = []
        for _ in range(WARM_UP + RUNS):
            began = time.perf_counter()
            predict(image)
            seconds.append(time.perf_counter() - began)
        found["latency_ms"] = 1000 * float(np.median(seconds[WARM_UP:]))
    return found


def check_limits(measured: dict[str, float], limits: dict[str, float]) -> None:
    """Raises InfeasibleError if something measured is above its limit."""
    for name, limit in limits.items():
        if measured[name] > limit:
            raise InfeasibleError(f"{name} is {measured[name]:,.6g}, above the limit of {limit:,.6g}")
