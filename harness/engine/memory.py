"""How much memory a worker may use, and for what: its own, without the prepared data that all share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import psutil

from harness.gpus import gpu_memory
from harness.machine import usable_memory

GIB = 2**30
PROGRAMS = 0.25
"""The share of a worker's memory for compiled programs."""
DATA = 0.25
"""The share of a worker's memory, and of what it has of its GPU's, for images."""
RECYCLE = 0.8
"""The share of a worker's memory from which it may be replaced."""
GROWTH = 1.5
"""What a worker may hold of what it held after its first segment, before it counts as grown."""


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """What a worker may use, in bytes."""

    programs: int
    """Compiled programs that are kept for later trials."""
    data: int
    """Training and validation images; what is larger is read from disk, batch by batch."""
    device_data: int | None
    """Training images in its GPU's memory; what is larger goes there part by part. None: there is no GPU, or
    its driver does not tell how large its memory is; then they count like the others."""
    recycle: int
    """Memory beyond which a worker that has grown is replaced by a fresh one when its segment has ended, so
    that what leaked is gone."""
    limit: int | None
    """Memory beyond which a worker is killed and its trial counts as out of memory; None: never."""


def worker_memory(
    workers: int, gpus: int = 0, limit: float | None = None, data: float | None = None
) -> WorkerMemory:
    """A worker's share of this machine's memory, and of its GPU's.

    Args:
        workers: processes that share the machine.
        gpus: GPUs that are dealt out to the workers in turn.
        limit: GiB beyond which a worker is killed.
        data: GiB of images that may be resident in each worker.
    """
    share = usable_memory() / workers
    if limit is not None:
        share = min(share, limit * GIB)
    device = gpu_memory() if gpus else None
    on_device = None if device is None else DATA * device / math.ceil(workers / gpus)
    return WorkerMemory(
        programs=int(PROGRAMS * share),
        data=int(DATA * share if data is None else data * GIB),
        device_data=None if on_device is None else int(on_device if data is None else data * GIB),
        recycle=int(RECYCLE * share),
        limit=None if limit is None else int(limit * GIB),
    )


def training_memory(workers: int, gpus: int = 0, limit: float | None = None) -> int:
    """Bytes that training may take in one worker: its share of its GPU's memory, or else of the machine's.

    Args:
        workers: processes that share the machine.
        gpus: GPUs that are dealt out to the workers in turn.
        limit: GiB of this machine's memory beyond which a worker is killed.
    """
    device = gpu_memory() if gpus else None
    if device is not None:
        return int(device / math.ceil(workers / gpus))
    share = usable_memory() / workers
    return int(share if limit is None else min(share, limit * GIB))


def own_memory(process: int) -> int:
    """Resident bytes of a process that are not shared with others, such as mapped files.

    Raises:
        psutil.Error: there is no such process.
    """
    used = psutil.Process(process).memory_info()
    return int(used.rss) - int(getattr(used, "shared", 0))
