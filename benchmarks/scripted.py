"""The real coordinator, log and trackers, with workers that only pretend to train.

Their records are like real ones, in number and size; only weights and model files are not there.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.engine.protocol import Engine, EngineEvent, Reported, WorkerReady
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump
from harness.paths import StudyPaths, make_folder
from harness.records import (
    Checkpoint,
    CheckpointSaved,
    Dataset,
    EpochEnded,
    Evaluation,
    LogRecord,
    Params,
    Question,
    Segment,
    SegmentEnded,
    StudyStarted,
    WorkerEvent,
)
from harness.study.event_log import EventLog
from harness.study.state import StudyState
from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.coordinator import Coordinator
from harness.sweeping.parts import make_scheduler
from harness.sweeping.plan import Stop, SweepPlan
from harness.sweeping.samplers.sampler import Sampler
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.workers import Workers
from harness.sweeping.writer import StudyWriter
from harness.train.metrics import evaluation

Observe = Callable[[WorkerEvent], None]
SCORES = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "balanced_accuracy")


def coordinator(
    experiment: Experiment,
    paths: StudyPaths,
    dataset: Dataset,
    engine: Engine,
    on_record: Sequence[Callable[[LogRecord], None]],
    stop: Stop | None = None,
    opened: Callable[[Path], EventLog] = EventLog,
) -> Coordinator:
    """A coordinator at the start of a new study; `on_record` have been told of its start."""
    make_folder(paths.folder)
    log, state = opened(paths.log), StudyState()
    started = log.append(
        StudyStarted(
            study=paths.folder.name,
            study_id=uuid.uuid4().hex,
            session=1,
            experiment=dump(experiment),
            dataset=dataset,
            seed=experiment.seed,
            trials=experiment.search.trials,
            versions={},
            host={},
            git_commit=None,
            time=now_ms(),
        )
    )
    for callback in (state.apply, *on_record):
        callback(started)
    sampler = Sampler(
        experiment.space, experiment.search.sampler, experiment.seed, objectives=experiment.objectives
    )
    plan = SweepPlan(experiment=experiment, study_folder=paths.folder, dataset=dataset)
    workers = Workers(engine, experiment.search.hang_seconds)
    sampler.fits.workers = lambda: workers.present
    return Coordinator(
        plan=plan,
        workers=workers,
        writer=StudyWriter(plan, log, state, on_record),
        policy=AsynchronousPolicy(sampler, make_scheduler(experiment), experiment.search.trials),
        clock=Stopwatch(time.monotonic()),
        stop=stop or Stop(),
    )


def pretend(segment: Segment, observe: Observe, _: Callable[[], bool]) -> None:
    """A null objective, at once: for the inline engine."""
    for epoch in range(segment.start + 1, min(segment.stop, segment.granted or segment.stop) + 1):
        observe(epoch_ended(segment, epoch))
    observe(segment_ended(segment))


class ScriptedWorkers:
    """Workers that only pretend; a subclass has the clock by which what they tell is due."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._due: list[tuple[float, int, int, Segment, int]] = []
        """When, which came first, worker, segment, and which event of it comes next."""
        self._count = itertools.count()
        self._ready: list[EngineEvent] = []

    @property
    def workers(self) -> int:
        return self._workers

    def start(self) -> None:
        self._ready += [WorkerReady(worker) for worker in range(self._workers)]

    def plan(self, due: float, worker: int, segment: Segment, step: int) -> None:
        """An event of the segment is due then."""
        heapq.heappush(self._due, (due, next(self._count), worker, segment, step))

    def ask(self, worker: int, question: Question) -> None:
        raise AssertionError("nothing is measured here")

    def stop_segment(self, worker: int) -> None:
        """Nothing is waited for at the end."""

    def has_grown(self, worker: int) -> bool:
        return False

    def cpu_seconds(self, worker: int) -> float:
        return 0.0

    def restart(self, worker: int) -> None:
        raise AssertionError("no worker is ever lost here")

    def close(self) -> None:
        self._due.clear()


class SecondBySecond(ScriptedWorkers):
    """Workers that each send an event a second: an epoch's end, then its checkpoint, and so on."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.sent = 0

    def submit(self, worker: int, segment: Segment) -> None:
        # A second later on average, spread out as independent workers are.
        self.plan(time.monotonic() + 2 * random.random(), worker, segment, 0)

    def poll(self, timeout: float) -> list[EngineEvent]:
        if self._ready:
            events, self._ready = self._ready, []
            return events
        now = time.monotonic()
        if self._due and self._due[0][0] > now:
            time.sleep(min(timeout, self._due[0][0] - now))
        events = []
        while self._due and self._due[0][0] <= time.monotonic():
            due, _, worker, segment, step = heapq.heappop(self._due)
            event = event_of(segment, step)
            events.append(Reported(worker, event))
            if not isinstance(event, SegmentEnded):
                self.plan(due + 1, worker, segment, step + 1)
        self.sent += len(events)
        return events


def event_of(segment: Segment, step: int) -> WorkerEvent:
    """What a worker tells of a segment: each epoch's end, then its checkpoint; at last the segment's end."""
    epoch = segment.start + 1 + step // 2
    if step % 2 == 0:
        return epoch_ended(segment, epoch)
    return segment_ended(segment) if epoch == segment.stop else checkpoint_saved(segment, epoch)


def epoch_ended(segment: Segment, epoch: int) -> EpochEnded:
    score = value(segment.params, segment.seed, epoch)
    metrics = {"loss": 1 - score, "accuracy": score, "val_loss": 1 - score}
    metrics |= {f"val_{name}": score for name in SCORES}
    metrics |= {"learning_rate": 1e-3, "epoch_seconds": 1.0, "images_per_second": 1000.0}
    return EpochEnded(
        trial=segment.trial, attempt=segment.attempt, epoch=epoch, metrics=metrics, time=now_ms()
    )


def checkpoint_saved(segment: Segment, epoch: int) -> CheckpointSaved:
    file = f"trials/{segment.trial:05d}/checkpoint-{epoch}.ckpt"
    saved = Checkpoint(file=file, sha256="0" * 64, epoch=epoch)
    return CheckpointSaved(trial=segment.trial, attempt=segment.attempt, checkpoint=saved, time=now_ms())


def segment_ended(segment: Segment) -> SegmentEnded:
    over = segment.stop == segment.max_epochs
    return SegmentEnded(
        trial=segment.trial,
        attempt=segment.attempt,
        epoch=segment.stop,
        over=over,
        seconds=float(segment.stop - segment.start),
        evaluations=[EVALUATION] if over else [],
        time=now_ms(),
    )


def value(params: Params, seed: int, epoch: int) -> float:
    """A smooth function of some parameters with a little noise, growing with the epochs."""
    rate = math.log10(float(params["learning_rate"]))
    good = math.exp(-((rate + 2.5) ** 2)) * (1 - float(params["dropout"]) / 2) * (1 - 1 / (1 + epoch))
    return good + random.Random(seed + epoch).gauss(0, 0.01)


def _example() -> Evaluation:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 300).astype(np.int32)
    logits = rng.normal(size=(300, 10)).astype(np.float32)
    return evaluation("validation", logits, labels, tuple(map(str, range(10))))


EVALUATION = _example()
"""Of random predictions, in the size of a real one for ten classes."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000
