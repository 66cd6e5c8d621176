"""What an engine is: it starts workers and carries segments to them.

A worker runs one segment at a time. Engines differ in where workers live (this process, local
processes, a cluster); nothing passes between coordinator and worker but the records of
`harness.records`, and files in the prepared data's and the study's folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from harness.records import Answer, FailureKind, Question, Segment, WorkerEvent


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker has started and waits for its first segment."""

    worker: int


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker is gone, with whatever it was running."""

    worker: int
    reason: str
    """A sentence with the exit status and the end of the worker's log."""
    failure: FailureKind = "crash"
    shared: bool = False
    """Whether a GPU's memory ran out that other workers used as well."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The worker says something about the segment it runs."""

    worker: int
    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class Answered:
    """The worker has answered a question, and waits for another or for a segment."""

    worker: int
    answer: Answer


EngineEvent: TypeAlias = WorkerReady | WorkerLost | Reported | Answered


class Engine(Protocol):
    """Workers numbered 0 … `workers` − 1."""

    @property
    def workers(self) -> int:
        """How many workers there are."""

    def start(self) -> None:
        """Begin to start every worker; each says `WorkerReady` when it is up."""

    def submit(self, worker: int, segment: Segment) -> None:
        """Hand a segment to an idle worker, which must be ready."""

    def ask(self, worker: int, question: Question) -> None:
        """Put a question to an idle worker, which must be ready."""

    def stop_segment(self, worker: int) -> None:
        """Ask the worker to end its segment at the next pulse; its last whole epoch has a checkpoint."""

    def poll(self, timeout: float) -> list[EngineEvent]:
        """What has happened, in order for each worker; waits at most `timeout` seconds for something."""

    def has_grown(self, worker: int) -> bool:
        """Whether the worker has come to use so much memory that it should be replaced between segments."""

    def cpu_seconds(self, worker: int) -> float:
        """The processor time that the worker has used since it started; 0 if it is gone."""

    def restart(self, worker: int) -> None:
        """End this worker if it still lives, and start a fresh one in its place."""

    def close(self) -> None:
        """End every worker and wait for it; may be called twice."""
