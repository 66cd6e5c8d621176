"""What to do about a segment that failed: pure decisions on the failure and the tries so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from harness.records import FailureKind
from harness.study.trial import MICROBATCHES

RETRIES = 2
"""How often a segment is tried again after its worker was lost."""
ALIKE = 3
"""Equal failures of the code, before anything was trained, after which the sweep gives up."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a segment failed."""

    kind: FailureKind
    message: str
    """A sentence."""
    detail: str
    """The traceback, or the end of the worker's log."""
    by_loss: bool = False
    """Whether the worker was lost."""
    while_writing: bool = False
    """Whether the segment's training was over, and only its last file was still being written."""
    shared: bool = False
    """Whether a GPU's memory ran out that other workers used as well."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Run the segment again."""

    at_half_the_batch: bool = False
    with_fewer: bool = False
    """While fewer workers share its GPU."""


@dataclass(frozen=True, slots=True)
class Fail:
    """End the trial as failed."""

    reason: str


Answer: TypeAlias = Retry | Fail


def answer(failure: Failure, *, tries: int, microbatches: int) -> Answer:
    """Decide whether the segment is run again or the trial ends as failed.

    Args:
        failure: how the segment failed.
        tries: how often this segment has failed without the configuration being to blame, this time included.
        microbatches: the parts that its batches were cut into.
    """
    if failure.kind == "preempted":  # its machine was taken away, which says nothing of the trial
        return Retry()
    if failure.kind == "out_of_memory" and not failure.while_writing:
        return _with_less_memory(failure, microbatches)
    if is_charged(failure):
        if tries <= RETRIES:
            return Retry()
        what = failure.message.rstrip(".")
        return Fail(
            f"its worker was lost ({what}) {tries} times" if failure.by_loss else f"{what}: {tries} times"
        )
    return Fail(failure.message)


def _with_less_memory(failure: Failure, microbatches: int) -> Answer:
    if failure.shared:  # each time one worker fewer shares the GPU, so that this has an end
        return Retry(with_fewer=True)
    if microbatches < MICROBATCHES:
        return Retry(at_half_the_batch=True)
    return Fail("ran out of memory, even at half the batch with accumulated gradients")


def is_charged(failure: Failure) -> bool:
    """Whether the failure was not the configuration's fault, so that a bounded number of tries is left."""
    trained = failure.kind == "out_of_memory" and not failure.while_writing
    return failure.kind in ("crash", "hang", "out_of_memory") and not trained


def gives_up(alike: int, *, plugin: bool) -> bool:
    """Whether code that has failed so often in the same way, before anything was trained, will always fail.

    Args:
        alike: how often it has.
        plugin: it is the user's own, who should hear of it at once.
    """
    return alike >= (1 if plugin else ALIKE)
