"""How many workers train fastest together: measured once for a machine and a kind of network.

Small networks keep no more than one core busy, so that a worker per core is best; large ones may do
better with fewer workers of several threads each. A GPU may be shared by several workers, as far as its
memory goes. Nothing of this can be told from the number of cores, so it is tried.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from harness.engine import benchmarking
from harness.engine.memory import GIB
from harness.errors import EngineError, HarnessError
from harness.machine import usable_cores, usable_memory, visible_gpus
from harness.paths import calibration_file, make_folder, write_text
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
    image_shape: tuple[int, int, int],
    classes: int,
    precision: Precision,
    progress: Callable[[str, int, int], None],
) -> Calibration:
    """The best number of workers, from the cache if this machine was measured with such a network.

    Args:
        params: a complete configuration that is typical of the study.
        program: its key (`harness.experiment.parameters.program_key`).
        image_shape: height, width, channels.
        classes: how many.
        precision: what layers compute with.
        progress: told again and again how many numbers have been tried; what it raises ends it.

    Raises:
        EngineError: the network cannot be trained by any number of workers.
    """
    gpus = visible_gpus()
    file = calibration_file()
    network = f"{program} {image_shape} {classes} {precision}"
    key = f"{_machine(gpus)} {network}"
    known = _read(file)
    if key in known:
        return Calibration(_best(known[key]), known[key], known=True)
    task = {
        "params": params,
        "image_shape": list(image_shape),
        "classes": classes,
        "precision": precision,
        "seconds": SECONDS,
    }
    rates = {}
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
    with contextlib.suppress(OSError, HarnessError):  # then it is measured again the next time
        make_folder(file.parent)
        write_text(file, json.dumps(known | {key: rates}, indent=1))
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


def _machine(gpus: Sequence[str]) -> str:
    """What the rates depend on besides the network."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    return f"{model} cores={usable_cores()} gpus={len(gpus)} tensorflow={metadata.version('tensorflow')}"


def _read(file: Path) -> dict[str, dict[int, float]]:
    """Rates by machine and network; empty if the file is missing or damaged: then all is measured again."""
    try:
        known = {
            key: {int(count): float(rate) for count, rate in rates.items()}
            for key, rates in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {key: rates for key, rates in known.items() if any(rate > 0 for rate in rates.values())}
