"""Run arms, each in a process and a temporary folder of its own, one after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.arms.job import STREAM, Job
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import cache
from harness.records import Dataset

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 60.0
LOG_TAIL = 3000


class ArmFailedError(Exception):
    """An arm ended with an error."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of an arm told."""

    began: float
    """Seconds since 1970, when the process was started."""
    command_seconds: float
    """From the start of the arm's process to its end."""
    stream: list[dict[str, Any]]

    @property
    def work_seconds(self) -> float:
        """From the first configuration's start to the last one's end, with all that lies between."""
        begins = [line["time"] for line in self.stream if line["kind"] == "began"]
        ends = [line["time"] for line in self.stream if line["kind"] == "ended"]
        return float(max(ends) - min(begins))

    @property
    def start_seconds(self) -> float:
        """From the start of the process to the first configuration's start."""
        return float(min(line["time"] for line in self.stream if line["kind"] == "began") - self.began)

    def final_accuracies(self) -> dict[str, float]:
        """Validation accuracy after the last epoch, by configuration."""
        return {_key(line): line["accuracy"] for line in self.stream if line["kind"] == "epoch"}


def _key(line: dict[str, Any]) -> str:
    return json.dumps(line["params"], sort_keys=True)


def prepared(config: DatasetConfig, seed: int = 0) -> Dataset:
    """The data set, decoded once and for all arms."""

    def progress(label: str, done: int, total: int) -> None:
        if done == total:
            print(f"{label}: {total:,} images", file=sys.stderr)

    return prepare(config, seed=seed, progress=progress)


def in_turns(names: Sequence[str], repeats: int) -> Iterator[tuple[int, str]]:
    """Repeat and name: A B C, C B A, A B C, … so that a drift of the machine favours nobody."""
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            yield repeat, name


def run_arm(module: str, job: Job, *, cores: Sequence[int] | None = None) -> Run:
    """Run `python -m module job.json` in a new temporary folder.

    Args:
        module: the arm.
        job: what it is to do.
        cores: that it may use; None: all.

    Raises:
        ArmFailedError: with the end of what it printed.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # not without ending the arm
    # Short, because sockets' paths must be.
    folder = Path(tempfile.mkdtemp(prefix="arm-"))
    output = folder / "output.txt"
    affinity = os.sched_getaffinity(0)
    try:
        with output.open("w", encoding="utf-8") as printed:
            if cores is not None:
                os.sched_setaffinity(0, cores)
            began = time.time()
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(job.write(folder))],
                cwd=folder,
                env=_environment(folder),
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            os.sched_setaffinity(0, affinity)
            try:
                code = process.wait(job.seconds)
            except subprocess.TimeoutExpired:
                code = 0
            finally:
                _end(process)
        elapsed = time.time() - began
        stream_file = folder / STREAM
        if not stream_file.exists() and not code:
            raise ArmFailedError(f"{module} had trained nothing after {elapsed:.0f} s; give it more time.")
        if code:
            tail = output.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
            raise ArmFailedError(f"{module} ended with exit status {code}:\n{tail}")
        stream = [json.loads(line) for line in stream_file.read_text(encoding="utf-8").splitlines()]
        return Run(began, elapsed, sorted(stream, key=lambda line: line["time"]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "BENCHMARK_STREAM": str(folder / STREAM),
        "HARNESS_HOME": str(folder / "home"),
        "HARNESS_CACHE": str(cache()),
        "KERAS_BACKEND": "tensorflow",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    if process.poll() is None:
        own = psutil.Process(process.pid)
        family = [own, *own.children(recursive=True)]
        os.killpg(process.pid, signal.SIGINT)  # as ctrl-C in a terminal does
        _, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
        for one in alive:
            one.kill()
        process.wait()
