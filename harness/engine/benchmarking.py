"""How fast processes train side by side: each runs `harness.engine.benchmark_worker`."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from harness.engine.environment import SAFE_PATH, worker_environment
from harness.machine import usable_cores

WAIT_SECONDS = 0.2
ANSWER_SECONDS = 180.0
"""After which a process that has not answered is given up: its configuration is too slow to be measured."""


def training_rate(count: int, gpus: Sequence[str], task: dict[str, Any], wait: Callable[[], None]) -> float:
    """Train in processes side by side for a while.

    Args:
        count: how many processes.
        gpus: those that they share.
        task: what `harness.engine.benchmark_worker` reads: a configuration, shapes, seconds.
        wait: called again and again; what it raises ends the processes.

    Returns:
        Images a second of all processes together; 0 if one of them cannot train.
    """
    threads = max(1, usable_cores() // count)
    processes: list[subprocess.Popen[str]] = []
    try:
        for worker in range(count):
            processes.append(
                subprocess.Popen(
                    [sys.executable, *SAFE_PATH, "-m", "harness.engine.benchmark_worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=worker_environment(worker, threads, gpus),
                    start_new_session=True,
                    text=True,
                )
            )
            _send_line(processes[-1].stdin, json.dumps(task | {"threads": threads}))
        if any(_next_line(process.stdout, wait) != "ready" for process in processes):
            return 0.0
        for process in processes:
            _send_line(process.stdin, "go")
        return sum(float(_next_line(process.stdout, wait)) for process in processes)
    except (OSError, ValueError):  # one of them is gone
        return 0.0
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _send_line(stream: IO[str] | None, line: str) -> None:
    assert stream is not None
    stream.write(line + "\n")
    stream.flush()


def _next_line(stream: IO[str] | None, wait: Callable[[], None]) -> str:
    """The next line, empty if the process is gone or takes too long; `wait` is called again and again."""
    assert stream is not None
    deadline = time.monotonic() + ANSWER_SECONDS
    while not select.select([stream], [], [], WAIT_SECONDS)[0]:
        if time.monotonic() > deadline:
            return ""
        wait()
    return stream.readline().strip()
