"""Where 1 to 2,000 workers saturate the coordinator and the trackers, by simulation.

    python -m benchmarks.scale .harness/studies/STUDY/events.jsonl

The real coordinator, sampler, scheduler and event log run with workers that only pretend. The lengths of
their epochs are drawn from the given study's, all stretched so that a worker sends `--rate` events a second.
The clock is the simulation's own: it goes on by the processor time that the coordinator takes, and by
`--sync` for every sync of the log, whatever else the machine does; and whenever the coordinator waits, it
goes to the next event at once. So an hour of a thousand workers takes minutes, and the coordinator is as late
as it would be with a core of its own.

1. For each number of workers: events a second that they send, the share of its time that the coordinator is
   busy, its processor time for an event, and how long events wait for it. Above a share of 1 it is behind for
   good. What workers say is read from lines as in the local engine. The trackers are left out, since they
   would follow at the clock of this machine.
2. What one event costs each part: the log alone, which is written again from its records; each tracker, which
   follows those records in this process; and how many workers that send an event a second would take one core
   of it, and all the time there is. With `--postgres`, also into a PostgreSQL server that is started for it,
   and an MLflow server on that one.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks.runs import prepared
from benchmarks.scripted import ScriptedWorkers, coordinator, event_of
from benchmarks.tables import publish, table
from harness.engine.local import told_by
from harness.engine.protocol import EngineEvent
from harness.engine.wire import decode_report, encode_report, encode_request
from harness.experiment.load import load
from harness.paths import StudyPaths
from harness.records import EpochEnded, LogRecord, Segment, SegmentEnded
from harness.study.event_log import EventLog, read
from harness.sweeping.plan import Stop
from harness.tracking.background import LARGEST_BATCH
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.optuna_tracker import OptunaTracker
from harness.tracking.tracker import Tracker
from tests.mlflow_server import free_port, mlflow_server
from tests.postgres_server import programs, running_server

STUDY = "scale"
MANY_TRIALS = 1_000_000
CHECKPOINT_SECONDS = 0.01
"""From an epoch's end to that of its checkpoint."""
EVENTS_PER_EPOCH = 2
"""The epoch's end, then its checkpoint or the segment's end."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a simulation is."""

    now: float
    """Seconds of the simulation."""
    processor: float
    """Seconds of processor time that the coordinator took, its policy and log with it."""
    disk: float
    """Seconds that it waited for the disk."""
    syncs: int
    memory: int
    """Bytes that the process has in memory, the log's lines and what is told of them included."""


class CountedLog(EventLog):
    """An event log that counts its syncs."""

    syncs = 0

    def commit(self) -> None:
        self.syncs += self.durable < len(self)
        super().commit()


class SimulatedWorkers(ScriptedWorkers):
    """Workers whose events are due by a simulated clock; ends the sweep after so many of them.

    What is measured begins when there have been as many events as workers, so that most have begun.
    """

    def __init__(
        self, workers: int, epoch_seconds: Sequence[float], events: int, sync_seconds: float, stop: Stop
    ) -> None:
        super().__init__(workers)
        self._epoch_seconds = epoch_seconds
        self._events = events
        self._sync_seconds = sync_seconds
        self._stop = stop
        self._random = random.Random(0)
        self._left: tuple[float, int] | None = None
        """Processor seconds of this thread, and syncs, when the last poll returned."""
        self._now = Moment(0.0, 0.0, 0.0, 0, 0)
        self._warmed_up: Moment | None = None
        self.syncs: Callable[[], int] = lambda: 0
        """How many there have been so far."""
        self.waits: list[float] = []
        """How long each event was due when it was taken, in seconds."""

    def measured(self) -> Moment:
        """What has passed since most workers have begun."""
        first, last = self._warmed_up or Moment(0.0, 0.0, 0.0, 0, 0), self._now
        return Moment(
            last.now - first.now,
            last.processor - first.processor,
            last.disk - first.disk,
            last.syncs - first.syncs,
            psutil.Process().memory_info().rss - first.memory,
        )

    def submit(self, worker: int, segment: Segment) -> None:
        encode_request(segment)  # as it goes down a worker's input
        # At first somewhere in an epoch, as workers are that did not start together.
        share = self._random.random() if self._warmed_up is None else 1.0
        self.plan(self._now.now + share * self._epoch(), worker, segment, 0)

    def _epoch(self) -> float:
        return self._random.choice(self._epoch_seconds)

    def _passed(self) -> None:
        """Let the clock go on by what the coordinator has done since the last poll."""
        if self._left is None:
            return
        processor, syncs = time.thread_time() - self._left[0], self.syncs() - self._left[1]
        disk, now = syncs * self._sync_seconds, self._now
        self._now = Moment(
            now.now + processor + disk, now.processor + processor, now.disk + disk, now.syncs + syncs, 0
        )

    def poll(self, timeout: float) -> list[EngineEvent]:
        self._passed()
        events, self._ready = self._ready, []
        now = self._now.now
        if not events and self._due and self._due[0][0] > now:
            now = self._due[0][0]
            self._now = replace(self._now, now=now)
        said: list[tuple[int, str]] = []
        while self._due and self._due[0][0] <= now:
            due, _, worker, segment, step = heapq.heappop(self._due)
            event = event_of(segment, step)
            said.append((worker, encode_report(event)))
            self.waits.append(now - due)
            if not isinstance(event, SegmentEnded):
                # An epoch's end is a checkpoint's beginning, and a worker does not wait for the coordinator.
                self.plan(
                    due + (self._epoch() if step % 2 else CHECKPOINT_SECONDS), worker, segment, step + 1
                )
        if self._warmed_up is None and len(self.waits) >= self._workers:
            self._warmed_up = replace(self._now, memory=psutil.Process().memory_info().rss)
            self.waits.clear()
        if self._warmed_up is not None and len(self.waits) >= self._events:
            self._stop.reason, self._stop.immediately = "enough events", True
        self._left = time.thread_time(), self.syncs()
        return events + [told_by(worker, decode_report(line)) for worker, line in said]


def recorded_epochs(log: Path, rate: float) -> list[float]:
    """The seconds of every epoch in a study's log, times what makes a worker send so many events a second."""
    events = [record.event for record in read(log)]
    found = [event.metrics["epoch_seconds"] for event in events if isinstance(event, EpochEnded)]
    if not found:
        raise SystemExit(f"{log} has no epochs. Name the log of a study that has trained.")
    mean = EVENTS_PER_EPOCH / rate
    return [seconds * mean / statistics.mean(found) for seconds in found]


def sync_seconds(folder: Path) -> float:
    """The median of what syncing a line takes on this disk."""
    taken = []
    with (folder / "line").open("ab", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 500)
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


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
    engine = SimulatedWorkers(workers, epoch_seconds, options.events, options.sync, stop)
    engine.start()
    paths, dataset = StudyPaths.of(STUDY), prepared(experiment.dataset)
    running = coordinator(experiment, paths, dataset, engine, [], stop, CountedLog)
    log = running.writer.log
    assert isinstance(log, CountedLog)
    engine.syncs = lambda: log.syncs
    running.run()
    passed, waits = engine.measured(), sorted(engine.waits)
    log.close()
    scores = sorted((trial.score for trial in running.state.trials.values() if trial.score), reverse=True)
    return {
        "events": len(waits),
        "simulated_seconds": passed.now,
        "events_per_second": len(waits) / passed.now,
        "busy_share": (passed.processor + passed.disk) / passed.now,
        "processor_share": passed.processor / passed.now,
        "processor_ms_per_event": 1000 * passed.processor / len(waits),
        "events_per_sync": len(waits) / passed.syncs,
        "wait_median_ms": 1000 * statistics.median(waits),
        "wait_p99_ms": 1000 * waits[int(0.99 * len(waits))],
        "wait_worst_ms": 1000 * waits[-1],
        "memory_kb_per_event": passed.memory / 1024 / len(waits),
        "trials": len(running.state.trials),
        "best": scores[0] if scores else 0.0,
        "mean_of_best_ten": statistics.mean(scores[:10]) if scores else 0.0,
    }


def timed(events: int, work: Callable[[], None], servers: Sequence[int] = ()) -> dict[str, float]:
    """Processor time, the servers' processor time, and time that work takes, for each of its events."""
    began, whole, theirs = time.perf_counter(), time.process_time(), processor_seconds(servers)
    work()
    return {
        "processor_ms": 1000 * (time.process_time() - whole) / events,
        "server_processor_ms": 1000 * (processor_seconds(servers) - theirs) / events,
        "wall_ms": 1000 * (time.perf_counter() - began) / events,
    }


def processor_seconds(servers: Sequence[int]) -> float:
    """That these processes and all that they have started have used so far."""
    own = [psutil.Process(server) for server in servers]
    family = {one.pid: one for root in own for one in [root, *root.children(recursive=True)]}
    ended = sum(root.cpu_times().children_user + root.cpu_times().children_system for root in own)
    return float(ended + sum(sum(one.cpu_times()[:2]) for one in family.values()))


def followed(tracker: Tracker, records: Sequence[LogRecord]) -> Callable[[], None]:
    """Tell a tracker of all records, in batches as when it is behind."""

    def follow() -> None:
        for start in range(0, len(records), LARGEST_BATCH):
            tracker.apply(records[start : start + LARGEST_BATCH])

    return follow


def costs(records: Sequence[LogRecord], folder: Path, *, postgres: bool) -> dict[str, dict[str, float]]:
    """What an event costs the log and each tracker, told of the records of one study."""

    def written(durable: bool) -> Callable[[], None]:
        def write() -> None:
            log = EventLog(folder / f"again-{durable}.jsonl")
            for record in records:
                log.append(record.event, durable=durable)
            log.close()

        return write

    def mlflow(address: str) -> Callable[[], None]:
        return followed(MlflowTracker(address, STUDY, StudyPaths.of(STUDY)), records)

    number = len(records)
    found = {
        "log": timed(number, written(False)),
        "log, each record synced": timed(number, written(True)),
        "Optuna, SQLite": timed(number, followed(OptunaTracker(f"sqlite:///{folder}/optuna.db"), records)),
        "MLflow, SQLite": timed(number, mlflow(f"sqlite:///{folder}/mlflow.db")),
    }
    if postgres:
        with contextlib.ExitStack() as stack:
            installed = programs()
            if installed is None:
                raise SystemExit("PostgreSQL is not installed; Debian's package is called postgresql.")
            database = stack.enter_context(running_server(installed))
            optuna = followed(OptunaTracker(database.fresh("optuna")), records)
            found["Optuna, PostgreSQL"] = timed(number, optuna, [database.pid])
            # Another tracker of the same study, whose records the first has left in its cursor.
            StudyPaths.of(STUDY).tracking_cursor.unlink()
            port, backend = free_port(), database.fresh("mlflow")
            server = stack.enter_context(mlflow_server(port, folder / "server", backend))
            found["MLflow, server on PostgreSQL"] = timed(
                number, mlflow(f"http://127.0.0.1:{port}"), [server.pid, database.pid]
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("log", type=Path, help="events.jsonl of a study whose epochs' times are taken")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 500, 1000, 2000])
    parser.add_argument("--rate", type=float, default=1.0, help="events a second that a worker sends")
    parser.add_argument("--events", type=int, default=50_000, help="of each number of workers")
    parser.add_argument("--sync", type=float, help="seconds of a sync; left out: as measured on this disk")
    parser.add_argument("--tracked", type=int, default=5000, help="records that the trackers follow")
    parser.add_argument("--postgres", action="store_true", help="servers on PostgreSQL, too")
    parser.add_argument("--sampler", default="tpe")
    options = parser.parse_args()
    epoch_seconds = recorded_epochs(options.log, options.rate)
    runs: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        if options.sync is None:
            options.sync = sync_seconds(options.log.parent)
        for workers in options.workers:
            runs[workers] = simulate(Path(folder) / str(workers), workers, epoch_seconds, options)
            print(f"{workers} workers: {runs[workers]}", file=sys.stderr)
        os.environ["HARNESS_HOME"] = str(Path(folder) / str(options.workers[0]))
        log = StudyPaths.of(STUDY).log  # of the fewest workers: whole trials rather than beginnings
        parts = costs(read(log)[: options.tracked], Path(folder), postgres=options.postgres)
    settings = vars(options) | {"log": options.log.name, "epochs": len(epoch_seconds)}
    publish("scale", settings, {"runs": runs, "parts": parts}, render(runs, parts))


def render(runs: dict[int, dict[str, float]], parts: dict[str, dict[str, float]]) -> str:
    simulated = table(
        (
            "workers", "events a second", "coordinator busy", "processor", "ms an event", "events a sync",
            "wait, median, ms", "99 %, ms", "worst, ms", "memory, KB an event", "trials", "best ten",
        ),
        [
            [
                workers, f"{run['events_per_second']:.1f}", f"{100 * run['busy_share']:.1f} %",
                f"{100 * run['processor_share']:.1f} %", f"{run['processor_ms_per_event']:.3f}",
                f"{run['events_per_sync']:.1f}", f"{run['wait_median_ms']:.2f}", f"{run['wait_p99_ms']:.1f}",
                f"{run['wait_worst_ms']:.0f}", f"{run['memory_kb_per_event']:.1f}", f"{run['trials']:.0f}",
                f"{run['mean_of_best_ten']:.4f}",
            ]
            for workers, run in runs.items()
        ],
    )  # fmt: skip
    each = table(
        ("part", "ms an event", "servers, ms an event", "time, ms an event", "events a second for one core"),
        [
            [
                name, f"{cost['processor_ms']:.3f}", f"{cost['server_processor_ms']:.3f}",
                f"{cost['wall_ms']:.3f}",
                f"{1000 / (cost['processor_ms'] + cost['server_processor_ms']):,.0f}",
            ]
            for name, cost in parts.items()
        ],
    )  # fmt: skip
    return f"{simulated}\n\n{each}"


if __name__ == "__main__":
    main()
