"""How many workers train fastest together: measured once for a machine and a kind of network.

Small networks keep no more than one core busy, so that a worker per core is best; large ones may do
better with fewer workers of several threads each. A GPU may be shared by several workers, as far as its
memory goes. Nothing of this can be told from the number of cores, so it is tried.
"""

from __future__ import annotations

import contextlib
import json
import platform
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from harness.engine.local import SAFE_PATH, worker_environment
from harness.engine.memory import GIB
from harness.errors import EngineError, HarnessError
from harness.machine import usable_cores, usable_memory, visible_gpus
from harness.paths import cache, make_folder, write_text
from harness.records import Params, Precision

SECONDS = 2.0
"""Of training by each number of workers."""
LABEL = "measuring numbers of workers"
WAIT_SECONDS = 0.2
ANSWER_SECONDS = 180.0
"""After which a process that has not answered is given up: its configuration is too slow to be measured."""
A_GPU = (1, 2, 4)
"""Workers that are tried on one GPU."""
NEAR = 0.95
"""Of the best rate: of numbers of workers as good as the best one, the largest is taken, because the work
between trainings is then shared by more."""
WORKER_BYTES = 1.5 * GIB
"""Of memory for each worker, so that a large machine is not filled with processes."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured."""

    workers: int
    rates: dict[int, float]
    """Images a second of all workers together, by their number; 0 where some failed (out of memory)."""
    known: bool
    """It had been measured before."""


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
        program: its signature (`harness.experiment.parameters.signature`).
        image_shape: height, width, channels.
        classes: how many.
        precision: what layers compute with.
        progress: told again and again how many numbers have been tried; what it raises ends it.

    Raises:
        EngineError: the network cannot be trained by any number of workers.
    """
    gpus = visible_gpus()
    file = cache() / "calibration.json"
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
        rates[count] = _together(count, gpus, task, partial(progress, LABEL, done, len(counts)))
    progress(LABEL, len(counts), len(counts))
    if not any(rates.values()):
        raise EngineError(
            "The best number of workers could not be measured: a typical configuration of this experiment "
            f"cannot be trained on random images, or not within {ANSWER_SECONDS:.0f} s. Choose a number with "
            "--workers; `harness train` shows what is wrong."
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
        counts = {gpus * shared for shared in A_GPU}
    else:
        counts = {1}
        while cores > 1:
            counts.add(cores)
            cores //= 2
    fit = [count for count in counts if count * WORKER_BYTES <= memory]
    return sorted(fit, reverse=True) or [1]


def _best(rates: dict[int, float]) -> int:
    highest = max(rates.values())
    return max(count for count, rate in rates.items() if rate >= NEAR * highest)


def _together(count: int, gpus: Sequence[str], task: dict[str, Any], wait: Callable[[], None]) -> float:
    """Images a second of `count` processes that train side by side; 0 if one of them cannot."""
    threads = max(1, usable_cores() // count)
    processes: list[subprocess.Popen[str]] = []
    try:
        for worker in range(count):
            processes.append(
                subprocess.Popen(
                    [sys.executable, *SAFE_PATH, "-m", "harness.engine.throughput"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=worker_environment(worker, threads, gpus),
                    start_new_session=True,
                    text=True,
                )
            )
            _tell(processes[-1].stdin, json.dumps(task | {"threads": threads}))
        if any(_heard(process.stdout, wait) != "ready" for process in processes):
            return 0.0
        for process in processes:
            _tell(process.stdin, "go")
        return sum(float(_heard(process.stdout, wait)) for process in processes)
    except (OSError, ValueError):  # one of them is gone
        return 0.0
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _tell(stream: IO[str] | None, line: str) -> None:
    assert stream is not None
    stream.write(line + "\n")
    stream.flush()


def _heard(stream: IO[str] | None, wait: Callable[[], None]) -> str:
    """The next line, empty if the process is gone or takes too long; `wait` is called again and again."""
    assert stream is not None
    deadline = time.monotonic() + ANSWER_SECONDS
    while not select.select([stream], [], [], WAIT_SECONDS)[0]:
        if time.monotonic() > deadline:
            return ""
        wait()
    return stream.readline().strip()


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
