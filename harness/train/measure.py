"""What can be known of a network before it is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from harness.train.program import Program

WARM_UP = 5
RUNS = 30


class InfeasibleError(Exception):
    """The network exceeds a limit of the experiment."""


def measure(program: Program, wanted: Sequence[str]) -> dict[str, float]:
    """`parameters`: the number of weights. `latency_ms`: one image through the compiled prediction.

    The latency is the median of 30 calls, in milliseconds, on this worker's threads.
    """
    found: dict[str, float] = {}
    if "parameters" in wanted:
        found["parameters"] = float(program.network.count_params())
    if "latency_ms" in wanted:
        image = np.zeros((1, *program.network.input_shape[1:]), np.uint8)
        seconds = []
        for _ in range(WARM_UP + RUNS):
            began = time.perf_counter()
            program.predict(image)
            seconds.append(time.perf_counter() - began)
        found["latency_ms"] = 1000 * float(np.median(seconds[WARM_UP:]))
    return found


def check_limits(measured: dict[str, float], limits: dict[str, float]) -> None:
    """Raises InfeasibleError if something measured is above its limit."""
    for name, limit in limits.items():
        if measured[name] > limit:
            raise InfeasibleError(f"{name} is {measured[name]:,.6g}, above the limit of {limit:,.6g}")
