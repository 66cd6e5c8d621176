"""Ray on this machine alone, as small as it gets."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import ray
from ray import tune

from benchmarks.arms.job import Job
from benchmarks.arms.processes import share_cores


def start(job: Job) -> None:
    share_cores(job)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=job.workers,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _temp_dir=str(Path("r").absolute()),
    )


def run_config() -> tune.RunConfig:
    return tune.RunConfig(storage_path=str(Path("results").absolute()), verbose=0)
