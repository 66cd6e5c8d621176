"""How processes that train are started: their options and their environment."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.gpus import VISIBLE, has_driver

SAFE_PATH = ("-P",)
"""Python's option that keeps the working directory off `sys.path`: a `random.py` there is not ours to run."""

OPERATIONS_AT_A_TIME = 1
"""How many operations of a graph a process that trains computes side by side: one, so that their order never
changes."""


def worker_environment(worker: int, threads: int, gpus: Sequence[str]) -> dict[str, str]:
    """The environment of a process that trains: its threads, and one of the GPUs, dealt out in turn.

    Where there are none to be dealt out, it sees none either, whatever TensorFlow would find.
    """
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow",
        "OMP_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "PYTHONUNBUFFERED": "1",
    }
    if gpus:
        environment[VISIBLE] = gpus[worker % len(gpus)]
    elif has_driver():
        environment[VISIBLE] = ""
    return environment
