"""Where 1 to 2,000 workers saturate the coordinator and the trackers, by simulation.

    python -m benchmarks.scale .harness/studies/STUDY/events.jsonl

The real coordinator, sampler, scheduler and event log run with workers that only pretend. Each epoch of
theirs takes as long as one of the given study's, drawn at random, by a clock of the simulation's own: what
the coordinator does takes as long as it takes here, and whenever it waits, the clock goes to the next event
at once. So an hour of a thousand workers takes minutes, and the coordinator is as late as it would be.

1. For each number of workers: events a second that they send, the share of its time that the coordinator is
   busy, its processor time for an event, and how long events wait for it. Above a share of 1 it is behind for
   good. The trackers are left out, since they would follow at the clock of this machine.
2. What one event costs each part: the log alone, which is written again from its records; each tracker, which
   follows those records in this process, into SQLite; and how many workers that send an event a second would
   take one core of it, and all the time there is.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runs import prepared
from benchmarks.scripted import coordinator, event_of
from benchmarks.tables import publish, table
from harness.engine.protocol import EngineEvent, Reported, WorkerReady
from harness.experiment.load import load
from harness.paths import StudyPaths, optuna_storage, tracking_uri
from harness.records import EpochEnded, LogRecord, Question, Segment, SegmentEnded
from harness.study.event_log import EventLog, read
from harness.sweeping.plan import Stop
from harness.tracking.background import BackgroundTracker
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.optuna_tracker import OptunaTracker

STUDY = "scale"
MANY_TRIALS = 1_000_000
TRACKER_LIMIT = 7200.0
CHECKPOINT_SECONDS = 0.01
"""From an epoch's end to that of its checkpoint."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a simulation is."""

    now: float
    """Seconds of the simulation."""
    busy: float
    """Seconds of those that passed outside of the engine."""
    processor: float
    """Seconds of processor time that the coordinator took, its policy and log with it."""


class SimulatedWorkers:
    """Workers whose events are due by a simulated clock; ends the sweep after so many of them.

    What is measured begins when there have been as many events as workers, so that most have begun.
    """

    def __init__(self, workers: int, epoch_seconds: Sequence[float], events: int, stop: Stop) -> None:
        self._workers = workers
        self._epoch_seconds = epoch_seconds
        self._events = events
        self._stop = stop
        self._random = random.Random(0)
        self._due: list[tuple[float, int, int, Segment, int]] = []
        """When, which came first, worker, segment, and which event of it comes next."""
        self._count = itertools.count()
        self._ready: list[EngineEvent] = []
        self._left: tuple[float, float] | None = None
        """When the last poll returned: by the real clock, and in processor time of this thread."""
        self._now = self._busy = self._processor = 0.0
        self._warmed_up: Moment | None = None
        self.waits: list[float] = []
        """How long each event was due when it was taken, in seconds."""

    @property
    def workers(self) -> int:
        return self._workers

    def measured(self) -> Moment:
        """What has passed since most workers have begun."""
        first, last = self._warmed_up or Moment(0, 0, 0), self._moment()
        return Moment(last.now - first.now, last.busy - first.busy, last.processor - first.processor)

    def _moment(self) -> Moment:
        return Moment(self._now, self._busy, self._processor)

    def start(self) -> None:
        self._ready += [WorkerReady(worker) for worker in range(self._workers)]

    def submit(self, worker: int, segment: Segment) -> None:
        # At first somewhere in an epoch, as workers are that did not start together.
        share = self._random.random() if self._now == 0 else 1.0
        self._push(self._now + share * self._epoch(), worker, segment, 0)

    def _epoch(self) -> float:
        return self._random.choice(self._epoch_seconds)

    def _push(self, due: float, worker: int, segment: Segment, step: int) -> None:
        heapq.heappush(self._due, (due, next(self._count), worker, segment, step))

    def ask(self, worker: int, question: Question) -> None:
        raise AssertionError("nothing is measured here")

    def stop_segment(self, worker: int) -> None:
        """Nothing is waited for at the end."""

    def poll(self, timeout: float) -> list[EngineEvent]:
        if self._left is not None:
            passed = time.perf_counter() - self._left[0]
            self._now += passed
            self._busy += passed
            self._processor += time.thread_time() - self._left[1]
        events, self._ready = self._ready, []
        if not events and self._due:
            self._now = max(self._now, self._due[0][0])
        while self._due and self._due[0][0] <= self._now:
            due, _, worker, segment, step = heapq.heappop(self._due)
            event = event_of(segment, step)
            events.append(Reported(worker, event))
            self.waits.append(self._now - due)
            if not isinstance(event, SegmentEnded):
                # An epoch's end is a checkpoint's beginning, and a worker does not wait for the coordinator.
                self._push(
                    due + (self._epoch() if step % 2 else CHECKPOINT_SECONDS), worker, segment, step + 1
                )
        if self._warmed_up is None and len(self.waits) >= self._workers:
            self._warmed_up = self._moment()
            self.waits.clear()
        if len(self.waits) >= self._events:
            self._stop.reason, self._stop.immediately = "enough events", True
        self._left = time.perf_counter(), time.thread_time()
        return events

    def has_grown(self, worker: int) -> bool:
        return False

    def cpu_seconds(self, worker: int) -> float:
        return 0.0

    def restart(self, worker: int) -> None:
        raise AssertionError("no worker is ever lost here")

    def close(self) -> None:
        self._due.clear()


def recorded_epochs(log: Path) -> list[float]:
    """The seconds of every epoch in a study's log."""
    events = [record.event for record in read(log)]
    found = [event.metrics["epoch_seconds"] for event in events if isinstance(event, EpochEnded)]
    if not found:
        raise SystemExit(f"{log} has no epochs. Name the log of a study that has trained.")
    return found


def simulate(
    folder: Path, workers: int, epoch_seconds: Sequence[float], options: argparse.Namespace
) -> dict[str, float]:
    """A study of so many workers in this folder."""
    os.environ["HARNESS_HOME"] = str(folder)
    experiment = load(
        "quickstart",
        [
            f"search.trials={MANY_TRIALS}",
            f"search.sampler={options.sampler}",
            "training.precision=float32",
        ],
    )
    stop = Stop()
    engine = SimulatedWorkers(workers, epoch_seconds, options.events, stop)
    engine.start()
    running = coordinator(experiment, StudyPaths.of(STUDY), prepared(experiment.dataset), engine, [], stop)
    running.run()
    passed, waits = engine.measured(), sorted(engine.waits)
    running.writer.log.close()
    return {
        "events": len(waits),
        "simulated_seconds": passed.now,
        "events_per_second": len(waits) / passed.now,
        "busy_share": passed.busy / passed.now,
        "processor_ms_per_event": 1000 * passed.processor / len(waits),
        "wait_median_ms": 1000 * statistics.median(waits),
        "wait_p99_ms": 1000 * waits[int(0.99 * len(waits))],
        "wait_worst_ms": 1000 * waits[-1],
        "trials": len(running.state.trials),
    }


def timed(events: int, work: Callable[[], None]) -> dict[str, float]:
    """Processor time and time that work takes, for each of its events."""
    began, whole = time.perf_counter(), time.process_time()
    work()
    return {
        "processor_ms": 1000 * (time.process_time() - whole) / events,
        "wall_ms": 1000 * (time.perf_counter() - began) / events,
    }


def costs(records: Sequence[LogRecord], folder: Path) -> dict[str, dict[str, float]]:
    """What an event costs the log and each tracker, told of the records of one study."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    paths = StudyPaths.of(STUDY)

    def written(durable: bool) -> Callable[[], None]:
        def write() -> None:
            log = EventLog(folder / f"again-{durable}.jsonl")
            for record in records:
                log.append(record.event, durable=durable)
            log.close()

        return write

    def followed(tracker: BackgroundTracker) -> Callable[[], None]:
        def follow() -> None:
            for record in records:
                tracker.feed(record)
            result = tracker.close(lambda: (TRACKER_LIMIT, TRACKER_LIMIT))
            assert result.caught_up, result.message

        return follow

    optuna = BackgroundTracker(lambda: OptunaTracker(optuna_storage()), "Optuna's storage")
    found = {
        "log, not synced": timed(len(records), written(False)),
        "log, each record synced": timed(len(records), written(True)),
        "Optuna's storage": timed(len(records), followed(optuna)),
    }
    mlflow = BackgroundTracker(lambda: MlflowTracker(tracking_uri(), STUDY, paths), "MLflow")
    return found | {"MLflow": timed(len(records), followed(mlflow))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("log", type=Path, help="events.jsonl of a study whose epochs' times are taken")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 500, 1000, 2000])
    parser.add_argument("--events", type=int, default=50_000, help="of each number of workers")
    parser.add_argument("--tracked", type=int, default=10_000, help="records that the trackers follow")
    parser.add_argument("--sampler", default="tpe")
    options = parser.parse_args()
    epoch_seconds = recorded_epochs(options.log)
    runs: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        for workers in options.workers:
            runs[workers] = simulate(Path(folder) / str(workers), workers, epoch_seconds, options)
        os.environ["HARNESS_HOME"] = str(Path(folder) / str(options.workers[0]))
        log = StudyPaths.of(STUDY).log  # of the fewest workers: whole trials rather than beginnings
        parts = costs(read(log)[: options.tracked], Path(folder))
    settings = vars(options) | {"log": options.log.name, "epochs": len(epoch_seconds)}
    settings |= {"median_epoch_seconds": statistics.median(epoch_seconds)}
    publish("scale", settings, {"runs": runs, "parts": parts}, render(runs, parts))


def render(runs: dict[int, dict[str, float]], parts: dict[str, dict[str, Any]]) -> str:
    simulated = table(
        (
            "workers", "events a second", "coordinator busy", "processor, ms an event", "wait, median, ms",
            "99 %, ms", "worst, ms", "trials",
        ),
        [
            [
                workers, f"{run['events_per_second']:.1f}", f"{100 * run['busy_share']:.1f} %",
                f"{run['processor_ms_per_event']:.3f}", f"{run['wait_median_ms']:.2f}",
                f"{run['wait_p99_ms']:.1f}", f"{run['wait_worst_ms']:.0f}", f"{run['trials']:.0f}",
            ]
            for workers, run in runs.items()
        ],
    )  # fmt: skip
    each = table(
        ("part", "processor, ms an event", "time, ms an event", "events a second for one core", "at most"),
        [
            [
                name, f"{cost['processor_ms']:.3f}", f"{cost['wall_ms']:.3f}",
                f"{1000 / cost['processor_ms']:,.0f}", f"{1000 / cost['wall_ms']:,.0f}",
            ]
            for name, cost in parts.items()
        ],
    )  # fmt: skip
    return f"{simulated}\n\n{each}"


if __name__ == "__main__":
    main()
