"""KerasTuner's distributed tuning, as its guide describes it: a chief, and a tuner for each worker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from benchmarks.arms.job import Job
from benchmarks.arms.processes import share_cores


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run_tuners(job: Job, module: str) -> None:
    """`module` once as the chief and once for each worker; the environment tells them who they are."""
    share_cores(job)
    port = str(free_port())
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    names = ["chief", *(f"tuner{index}" for index in range(job.workers))]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, sys.argv[1]],
            env=os.environ | address | {"KERASTUNER_TUNER_ID": name},
        )
        for name in names
    ]
    try:
        codes = [process.wait() for process in processes[1:]]
    finally:
        processes[0].kill()  # the chief would wait on for tuners that come back, deaf to ctrl-C
        processes[0].wait()
    if any(codes):
        raise SystemExit(f"a tuner failed: exit codes {codes}")


def is_part_of_a_run() -> bool:
    return "KERASTUNER_TUNER_ID" in os.environ
