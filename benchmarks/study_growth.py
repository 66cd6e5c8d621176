"""What a trial costs the coordinator as a study grows, and what it takes to look at a large one.

    python -m benchmarks.study_growth --trials 10000

The real coordinator asks, schedules, logs and tells; the workers only pretend to train (a null objective of
`--epochs` epochs). The Optuna tracker follows into SQLite from its own thread, as in a sweep; with
`--mlflow` the MLflow tracker too. The cost of a trial is the time between the ends of two trials, in wall
time (which the trackers' threads lengthen) and in processor time of the coordinator's own thread; means
over the first and the last tenth of the trials are compared. Then `leaderboard`, `status` and `report` are
run on that study as a user runs them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.runs import prepared
from benchmarks.scripted import coordinator, pretend
from benchmarks.tables import publish, table
from harness.engine.inline import InlineEngine
from harness.experiment.load import load
from harness.paths import StudyPaths, optuna_storage, tracking_uri
from harness.records import LogRecord, TrialEnded
from harness.schedulers import SCHEDULERS
from harness.tracking.background import BackgroundTracker
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.optuna_tracker import OptunaTracker

STUDY = "growth"
COMMANDS = {
    "leaderboard": ["leaderboard", STUDY],
    "status": ["status", STUDY],
    "report": ["report", STUDY, "--out", "report.html"],
}
GOALS = {"leaderboard": 2, "status": 3, "report": 15}
"""Seconds."""
COMMAND_REPEATS = 3
TRACKER_LIMIT = 7200.0


@dataclass(slots=True)
class Watch:
    """Notes when each trial ends, and the process's memory a hundred times."""

    every: int
    wall: list[float] = field(default_factory=lambda: [time.perf_counter()])
    own: list[float] = field(default_factory=lambda: [time.thread_time()])
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Trials ended, and resident bytes."""

    def on_record(self, record: LogRecord) -> None:
        if isinstance(record.event, TrialEnded):
            self.wall.append(time.perf_counter())
            self.own.append(time.thread_time())
            if (len(self.wall) - 1) % self.every == 0:
                self.memory.append((len(self.wall) - 1, psutil.Process().memory_info().rss))


def grow(sampler: str, scheduler: str, trials: int, epochs: int, *, mlflow: bool) -> dict[str, Any]:
    """Run the study in HARNESS_HOME; what was measured."""
    has_rungs = "min_epochs" in SCHEDULERS[scheduler].settings.model_fields
    first_rung = ["scheduler.min_epochs=1"] if has_rungs else []
    experiment = load(
        "quickstart",
        [
            f"search.trials={trials}", f"search.sampler={sampler}", f"scheduler.kind={scheduler}",
            f"training.epochs={epochs}", "training.precision=float32", *first_rung,
        ],
    )  # fmt: skip
    paths = StudyPaths.of(STUDY)
    trackers = [BackgroundTracker(lambda: OptunaTracker(optuna_storage()), "Optuna's storage")]
    if mlflow:
        trackers.append(BackgroundTracker(lambda: MlflowTracker(tracking_uri(), STUDY, paths), "MLflow"))
    watch = Watch(max(1, trials // 100))
    engine = InlineEngine(1, pretend)
    engine.start()
    running = coordinator(
        experiment, paths, prepared(experiment.dataset), engine,
        [watch.on_record, *(tracker.feed for tracker in trackers)],
    )  # fmt: skip
    watch.wall[0], watch.own[0] = time.perf_counter(), time.thread_time()
    ended = running.run()
    running.writer.log.close()
    assert ended.complete, ended.reason
    coordinated = time.perf_counter()
    for tracker in trackers:
        result = tracker.close(lambda: (TRACKER_LIMIT, TRACKER_LIMIT))
        assert result.caught_up, result.message
    tenth = max(1, trials // 10)
    found = {
        "seconds": watch.wall[-1] - watch.wall[0],
        "trackers_behind_seconds": time.perf_counter() - coordinated,
        "memory_mib": watch.memory[-1][1] / 2**20,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "memory": watch.memory,
        "log_mib": paths.log.stat().st_size / 2**20,
    }
    for name, times in (("wall", watch.wall), ("own", watch.own)):
        tenths = [
            (times[end] - times[end - tenth]) / tenth
            for end in range(tenth, len(times), tenth)
        ]  # fmt: skip
        found |= {f"{name}_first_ms": 1000 * tenths[0], f"{name}_last_ms": 1000 * tenths[-1]}
        found[f"{name}_tenths_ms"] = [1000 * one for one in tenths]
    return found


def timed_commands() -> dict[str, dict[str, Any]]:
    """Median seconds of each command on the study in HARNESS_HOME."""
    found: dict[str, dict[str, Any]] = {}
    for name, arguments in COMMANDS.items():
        seconds = []
        for _ in range(COMMAND_REPEATS):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "harness", *arguments], check=True, stdout=subprocess.DEVNULL
            )
            seconds.append(time.perf_counter() - began)
        found[name] = {"seconds": seconds, "median": statistics.median(seconds), "goal": GOALS[name]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe"])
    parser.add_argument("--scheduler", default="none")
    parser.add_argument("--mlflow", action="store_true", help="also follow into MLflow")
    options = parser.parse_args()

    measured: dict[str, Any] = {}
    before = Path.cwd()
    for sampler in options.samplers:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            os.environ["HARNESS_HOME"] = f"{folder}/home"
            os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(before), os.getenv("PYTHONPATH")]))
            os.chdir(folder)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                grown = alone.submit(
                    grow, sampler, options.scheduler, options.trials, options.epochs, mlflow=options.mlflow
                ).result()
            measured[sampler] = grown | {"commands": timed_commands()}
            os.chdir(before)
    publish("study_growth", vars(options), measured, render(measured))


def render(measured: dict[str, Any]) -> str:
    growth = table(
        (
            "sampler", "first tenth, ms a trial", "last tenth, ms", "ratio",
            "own thread, first, ms", "last, ms", "ratio", "all trials, s", "then trackers, s",
            "memory at the end, MiB", "peak, MiB",
        ),
        [
            [
                sampler,
                *(f"{one[f'{name}_{which}_ms']:.2f}" if which != "ratio"
                  else f"{one[f'{name}_last_ms'] / one[f'{name}_first_ms']:.2f}"
                  for name in ("wall", "own") for which in ("first", "last", "ratio")),
                f"{one['seconds']:.1f}", f"{one['trackers_behind_seconds']:.1f}", f"{one['memory_mib']:.0f}",
                f"{one['peak_memory_mib']:.0f}",
            ]
            for sampler, one in measured.items()
        ],
    )  # fmt: skip
    commands = table(
        ("sampler", *(f"{name}, s (goal {goal})" for name, goal in GOALS.items())),
        [
            [sampler, *(f"{one['commands'][name]['median']:.2f}" for name in GOALS)]
            for sampler, one in measured.items()
        ],
    )
    return f"{growth}\n\n{commands}"


if __name__ == "__main__":
    main()
