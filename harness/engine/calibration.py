"""How many workers train fastest together: measured once for a machine and a kind of network.

Small networks keep no more than one core busy, so that a worker per core is best; large ones may do
better with fewer workers of several threads each. A GPU may be shared by several workers, as far as its
memory goes. Nothing of this can be told from the number of cores, so it is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness.engine import benchmarking
from harness.engine.memory import GIB
from harness.engine.remembered import machine, recall, remember
from harness.errors import EngineError
from harness.gpus import visible_gpus
from harness.machine import usable_cores, usable_memory
from harness.records import Params, Precision

SECONDS = 2.0
"""How long each number of workers trains."""
LABEL = "measuring numbers of workers"
WORKERS_ON_GPU = (1, 2, 4)
"""Numbers of workers that are tried on one GPU."""
AS_GOOD = 0.95
"""The share of the best rate from which a number of workers is as good as the best one. Of those the largest
is taken, because the work between trainings is then shared by more."""
WORKER_BYTES = 1.5 * GIB
"""Memory that each worker needs, so that a large machine is not filled with processes."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How fast this machine trains with different numbers of workers."""

    workers: int
    rates: dict[int, float]
    """Images a second of all workers together, by their number; 0 where some failed (out of memory)."""
    known: bool
    """Whether the figures had been measured before, on this machine for this kind of network."""


def calibrate(
    params: Params,
    program: str,
    image_shape: tuple[int, ...],
    classes: int,
    precision: Precision,
    progress: Callable[[str, int, int], None],
) -> Calibration:
    """The best number of workers, from the cache if this machine was measured with such a network.

    Args:
        params: a complete configuration that is typical of the study.
        program: its key (`harness.experiment.keys.program_key`).
        image_shape: height, width, channels; of clips, before them the frames.
        classes: how many.
        precision: what layers compute with.
        progress: told again and again how many numbers have been tried; what it raises ends it.

    Raises:
        EngineError: the network cannot be trained by any number of workers.
    """
    gpus = visible_gpus()
    key = f"{machine(gpus)} {program} {image_shape} {classes} {precision}"
    figures = recall(key).get(key, {})
    rates = {int(count): rate for count, rate in figures.items() if count.isdecimal()}
    if any(rates.values()):
        return Calibration(_best(rates), rates, known=True)
    task = {
        "params": params,
        "image_shape": list(image_shape),
        "classes": classes,
        "precision": precision,
        "seconds": SECONDS,
    }
    counts = candidates(usable_cores(), len(gpus), usable_memory())
    for done, count in enumerate(counts):
        rates[count] = benchmarking.training_rate(
            count, gpus, task, partial(progress, LABEL, done, len(counts))
        )
    progress(LABEL, len(counts), len(counts))
    if not any(rates.values()):
        raise EngineError(
            "The best number of workers could not be measured: a typical configuration of this experiment "
            f"cannot be trained on random images, or not within {benchmarking.ANSWER_SECONDS:.0f} s. "
            "Choose a number with --workers; `harness train` shows what is wrong."
        )
    remember(key, {str(count): rate for count, rate in rates.items()})
    return Calibration(_best(rates), rates, known=False)


def candidates(cores: int, gpus: int, memory: float) -> list[int]:
    """Numbers of workers to try, the largest first.

    Args:
        cores: that may be used.
        gpus: that may be used.
        memory: of the machine, in bytes.
    """
    if gpus:
        counts = {gpus * shared for shared in WORKERS_ON_GPU}
    else:
        counts = {1}
        while cores > 1:
            counts.add(cores)
            cores //= 2
    fit = [count for count in counts if count * WORKER_BYTES <= memory]
    return sorted(fit, reverse=True) or [1]


def _best(rates: dict[int, float]) -> int:
    highest = max(rates.values())
    return max(count for count, rate in rates.items() if rate >= AS_GOOD * highest)
