"""What an event log says of one trial: its numbers by epoch, and what each epoch was trained with.

An epoch may have been trained more than once, because a worker was killed before its checkpoint was durable.
Where the threads and the parts of a batch were the same, all records of it must be equal; of others those
count that the trial went on from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from harness.records import (
    CheckpointSaved,
    EpochEnded,
    LogRecord,
    ModelSaved,
    SegmentEnded,
    SegmentFailed,
    SegmentStarted,
    StudyStarted,
)

Metrics: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """What an epoch's numbers depend on that may change within a trial."""

    threads: int
    """Of an operation in the worker."""
    microbatches: int
    """Parts that batches were cut into."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring epochs that were trained with one setting."""

    stop: int
    """The last of them."""
    setting: Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial as a log tells it, epochs counting from 1."""

    metrics: dict[int, list[Metrics]]
    """By epoch, what was told of it; more than once where it was trained more than once."""
    states: dict[int, list[str]]
    """By epoch, the SHA-256 of the checkpoints after it: of all weights, and of the optimizer."""
    stretches: tuple[Stretch, ...]
    """All epochs, in their order."""
    sessions: tuple[StudyStarted, ...]
    """The sessions that have trained epochs which count."""
    model: ModelSaved | None
    failure: SegmentFailed | None
    """How it failed, if that is the last that is told of it."""
    devices: tuple[str, ...] = ()
    """The GPUs that its segments were trained on, in words, each once; none where that was a processor."""

    @property
    def last_epoch(self) -> int:
        """The last epoch with metrics; 0 without any."""
        return max(self.metrics, default=0)


@dataclass(frozen=True, slots=True)
class _Attempt:
    session: StudyStarted
    setting: Setting


def trial_record(records: Sequence[LogRecord], number: int) -> TrialRecord:
    """What the log says of the trial with this number, which has begun."""
    threads = _threads(records)
    attempts: dict[int, _Attempt] = {}
    told: dict[int, list[tuple[int, Metrics]]] = defaultdict(list)
    saved: dict[int, list[tuple[int, str]]] = defaultdict(list)
    session: StudyStarted | None = None
    model: ModelSaved | None = None
    failure: SegmentFailed | None = None
    devices: dict[str, None] = {}
    for record in records:
        event = record.event
        if isinstance(event, StudyStarted):
            session = event
        elif getattr(event, "trial", None) != number:
            continue
        elif isinstance(event, SegmentStarted):
            assert session is not None
            setting = Setting(threads[session.session], event.microbatches)
            attempts[event.attempt], failure = _Attempt(session, setting), None
        elif isinstance(event, EpochEnded):
            told[event.epoch].append((event.attempt, event.metrics))
        elif isinstance(event, CheckpointSaved):
            saved[event.checkpoint.epoch].append((event.attempt, event.checkpoint.sha256))
        elif isinstance(event, ModelSaved):
            model = event
        elif isinstance(event, SegmentFailed):
            failure = event
        elif isinstance(event, SegmentEnded) and event.device is not None:
            devices[event.device.described] = None
    counting = {epoch: attempts[found[-1][0]] for epoch, found in sorted(told.items())}

    def alike(epoch: int, attempt: int) -> bool:
        return epoch in counting and attempts[attempt].setting == counting[epoch].setting

    return TrialRecord(
        metrics={
            epoch: [metrics for attempt, metrics in found if alike(epoch, attempt)]
            for epoch, found in sorted(told.items())
        },
        states={
            epoch: [sha256 for attempt, sha256 in found if alike(epoch, attempt)]
            for epoch, found in sorted(saved.items())
        },
        stretches=tuple(_stretches(counting)),
        sessions=tuple({one.session.session: one.session for one in counting.values()}.values()),
        model=model,
        failure=failure,
        devices=tuple(devices),
    )


def _stretches(counting: dict[int, _Attempt]) -> Iterable[Stretch]:
    for setting, epochs in groupby(counting, lambda epoch: counting[epoch].setting):
        yield Stretch(max(epochs), setting)


def _threads(records: Sequence[LogRecord]) -> dict[int, int]:
    """Threads of a worker by session: as recorded, or else from the cores and the workers that trained."""
    sessions: dict[int, StudyStarted] = {}
    workers: dict[int, int] = {}
    current = 0
    for record in records:
        event = record.event
        if isinstance(event, StudyStarted):
            current, sessions[event.session] = event.session, event
            workers[current] = 1
        elif isinstance(event, SegmentStarted):
            workers[current] = max(workers[current], event.worker + 1)
    return {
        number: started.environment.threads
        if started.environment is not None
        else max(1, int(started.host.get("cores", 1)) // workers[number])
        for number, started in sessions.items()
    }
