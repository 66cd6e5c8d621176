"""As many processes as there are workers, each with its share of the cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.arms.job import Job
from harness.machine import usable_cores


def threads_of(job: Job) -> int:
    return max(1, usable_cores() // job.workers)


def share_cores(job: Job) -> None:
    """Call before TensorFlow or OpenMP is loaded; child processes inherit it."""
    os.environ["OMP_NUM_THREADS"] = str(threads_of(job))


def run_in_processes(work: Callable[..., None], job: Job, each: Sequence[tuple[Any, ...]]) -> None:
    """`work(job, *arguments)` in a new process for every tuple of arguments; fails if one fails."""
    share_cores(job)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(job, *arguments)) for arguments in each]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    codes = [process.exitcode for process in processes]
    if any(codes):
        raise SystemExit(f"a process of the arm failed: exit codes {codes}")
