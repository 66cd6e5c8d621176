"""More workers: how much faster, and what a hundred of them cost the coordinator.

    python -m benchmarks.scaling --repeats 3

1. `harness sweep` over the fixed list (`benchmarks.configurations`) on the digits with 1, 2, … workers, the
   whole command confined to as many cores as it has workers, so that each worker has one thread.
   Throughput is trained images a second of work (from the first segment's start to the last one's end);
   the arms take turns.
2. The real coordinator, log, and MLflow and Optuna trackers on SQLite, with a hundred workers that only
   pretend: each sends an event a second (the end of an epoch, then its checkpoint, and so on). Told is the
   process's share of a core, trackers included, that of the coordinator's own thread, and how late events
   were taken in. Model files are left out: their cost is a worker's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

from benchmarks.arms.job import Job
from benchmarks.configurations import CONFIGURATIONS, datasets
from benchmarks.runs import in_turns, prepared, run_arm
from benchmarks.scripted import SecondBySecond, coordinator
from benchmarks.tables import publish, table
from harness.experiment.load import load
from harness.paths import StudyPaths, optuna_storage, tracking_uri
from harness.records import LogRecord
from harness.sweeping.plan import Stop
from harness.tracking.background import BackgroundTracker
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.optuna_tracker import OptunaTracker

MANY_TRIALS = 100_000
TRACKER_LIMIT = 600.0


def throughput(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Images a second and seconds of work of each run, by number of workers."""
    cores = sorted(os.sched_getaffinity(0))
    config = datasets(None, 0)["digits"]
    job = Job(
        dataset=prepared(config),
        source=config.model_dump(mode="json"),
        epochs=options.epochs,
        workers=1,
        configurations=CONFIGURATIONS[: options.configurations],
        space={},
    )
    counts = [str(count) for count in range(1, min(len(cores), options.most_workers) + 1)]
    runs: dict[str, list[dict[str, float]]] = {count: [] for count in counts}
    images = len(job.configurations) * job.epochs * job.dataset.counts["train"]
    for repeat, count in in_turns(counts, options.repeats):
        own = replace(job, workers=int(count))
        run = run_arm("benchmarks.arms.fixed.harness", own, cores=cores[: int(count)])
        runs[count].append({"work_seconds": run.work_seconds, "images_per_second": images / run.work_seconds})
        print(f"repeat {repeat + 1}, {count} workers: {run.work_seconds:.1f} s", file=sys.stderr)
    return runs


def simulate(workers: int, seconds: float) -> dict[str, float]:
    """The coordinator's cost with so many workers, after all of them have begun."""
    experiment = load("quickstart", [f"search.trials={MANY_TRIALS}", "training.precision=float32"])
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        os.environ["HARNESS_HOME"] = f"{folder}/home"
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        paths = StudyPaths.of("scaling")
        trackers = [
            BackgroundTracker(lambda: OptunaTracker(optuna_storage()), "Optuna's storage"),
            BackgroundTracker(lambda: MlflowTracker(tracking_uri(), "scaling", paths), "MLflow"),
        ]
        late: list[int] = []

        def measure(record: LogRecord) -> None:
            if record.event.kind in ("epoch_ended", "checkpoint_saved", "segment_ended"):
                late.append(time.time_ns() // 1_000_000 - record.event.time)

        engine = SecondBySecond(workers)
        engine.start()
        dataset, stop = prepared(experiment.dataset), Stop()
        meter = _Meter(engine, seconds, stop)
        running = coordinator(
            experiment, paths, dataset, meter, [measure, *(tracker.feed for tracker in trackers)], stop
        )
        running.run()
        running.writer.log.close()
        behind = time.monotonic()
        results = [tracker.close(lambda: (TRACKER_LIMIT, TRACKER_LIMIT)) for tracker in trackers]
        return meter.found | {
            "late_median_ms": statistics.median(late),
            "late_worst_ms": max(late),
            "trials": len(running.state.trials),
            "trackers_behind_seconds": time.monotonic() - behind,
            "trackers_caught_up": all(result.caught_up for result in results),
        }


class _Meter:
    """The engine, with the processor time that passes while it is polled; stops the sweep at the end."""

    WARM_UP_SECONDS = 5.0

    def __init__(self, engine: SecondBySecond, seconds: float, stop: Stop) -> None:
        self._engine = engine
        self._seconds = seconds
        self._stop = stop
        self._began = time.monotonic()
        self._start: tuple[float, float, float, int] | None = None
        self.found: dict[str, float] = {}

    @property
    def workers(self) -> int:
        return self._engine.workers

    def start(self) -> None:
        self._engine.start()

    def submit(self, worker: int, segment: Any) -> None:
        self._engine.submit(worker, segment)

    def stop_segment(self, worker: int) -> None:
        self._engine.stop_segment(worker)

    def has_grown(self, worker: int) -> bool:
        return self._engine.has_grown(worker)

    def cpu_seconds(self, worker: int) -> float:
        return self._engine.cpu_seconds(worker)

    def restart(self, worker: int) -> None:
        self._engine.restart(worker)

    def close(self) -> None:
        self._engine.close()

    def poll(self, timeout: float) -> list[Any]:
        now = (time.monotonic(), time.process_time(), time.thread_time(), self._engine.sent)
        if self._start is None and now[0] - self._began > self.WARM_UP_SECONDS:
            self._start = now
        if self._start is not None and now[0] - self._start[0] >= self._seconds and not self.found:
            wall, whole, own, sent = (a - b for a, b in zip(now, self._start, strict=True))
            self.found = {
                "seconds": wall,
                "core_share": whole / wall,
                "own_thread_share": own / wall,
                "events_per_second": sent / wall,
            }
            self._stop.reason, self._stop.immediately = "the time is over", True
        return self._engine.poll(timeout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument(
        "--configurations", type=int, default=len(CONFIGURATIONS), help="only the first so many"
    )
    parser.add_argument("--most-workers", type=int, default=8)
    parser.add_argument("--simulated", type=int, default=100, help="workers that only pretend")
    parser.add_argument("--seconds", type=float, default=120, help="for which they are watched")
    options = parser.parse_args()
    runs = throughput(options)
    many = simulate(options.simulated, options.seconds)
    publish(
        "scaling", vars(options), {"throughput": runs, "simulated": many},
        f"{render(runs)}\n\n{options.simulated} simulated workers\n\n"
        + table(["", ""], [[name, f"{value:.3f}"] for name, value in many.items()]),
    )  # fmt: skip


def render(runs: dict[str, list[dict[str, float]]]) -> str:
    medians = {
        count: statistics.median(run["images_per_second"] for run in found) for count, found in runs.items()
    }
    return table(
        ("workers", "work, s", "images a second", "over one worker"),
        [
            [
                count,
                f"{statistics.median(run['work_seconds'] for run in runs[count]):.1f}",
                f"{rate:,.0f}",
                f"{rate / medians['1']:.2f}",
            ]
            for count, rate in medians.items()
        ],
    )


if __name__ == "__main__":
    main()
