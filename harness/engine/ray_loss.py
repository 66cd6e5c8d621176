"""What it means that a worker on a Ray cluster cannot be spoken to any more."""

from __future__ import annotations

from harness.engine.protocol import WorkerLost
from harness.records import FailureKind


def gone(worker: int, where: str, error: Exception, *, own_fault: bool) -> WorkerLost:
    """Whether its trial has failed, or its node was only taken away.

    Args:
        worker: its number.
        where: its node, if it has been placed; else empty.
        error: what Ray says.
        own_fault: whether the actor's own code has failed.
    """
    said = " ".join(str(error).split())
    if own_fault or getattr(error, "actor_init_failed", False):
        return WorkerLost(worker, f"Worker {worker} failed in Ray. {said}")
    out_of_memory = "low on memory" in said or type(error).__name__ == "OutOfMemoryError"
    failure: FailureKind = "out_of_memory" if out_of_memory else "preempted"
    return WorkerLost(worker, f"Worker {worker} on {where or 'a node'} was taken away. {said}", failure)
