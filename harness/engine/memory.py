"""How much memory a worker may use, and for what: its own, without the prepared data that all share."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

GIB = 2**30
PROGRAMS = 0.25
DATA = 0.25
RECYCLE = 0.8
"""Of a worker's share."""


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """Bytes."""

    programs: int
    """Compiled programs that are kept for later trials."""
    data: int
    """Training images; a larger set is streamed."""
    recycle: int
    """Beyond it a worker is replaced by a fresh one when its segment has ended, and what leaked is gone."""
    limit: int | None
    """Beyond it a worker is killed, and its trial counts as out of memory; None: never."""


def worker_memory(workers: int, limit: float | None = None, data: float | None = None) -> WorkerMemory:
    """A worker's share of this machine's memory.

    Args:
        workers: processes that share it.
        limit: GiB beyond which a worker is killed.
        data: GiB of training images that may be resident in each worker.
    """
    share = psutil.virtual_memory().total / workers
    if limit is not None:
        share = min(share, limit * GIB)
    return WorkerMemory(
        programs=int(PROGRAMS * share),
        data=int(DATA * share if data is None else data * GIB),
        recycle=int(RECYCLE * share),
        limit=None if limit is None else int(limit * GIB),
    )


def own_memory(process: int) -> int:
    """Resident bytes of a process that are not shared with others, such as mapped files.

    Raises:
        psutil.Error: there is no such process.
    """
    used = psutil.Process(process).memory_info()
    return int(used.rss) - int(getattr(used, "shared", 0))
