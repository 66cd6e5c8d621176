"""Exceptions of a segment, sorted into the kinds the coordinator knows an answer to."""

from __future__ import annotations

import traceback

from harness.clock import now_ms
from harness.errors import HarnessError
from harness.model.out_of_memory import is_out_of_memory
from harness.model.plugin import PluginError
from harness.records import FailureKind, Segment, SegmentFailed
from harness.train.measure import InfeasibleError
from harness.train.segment import DivergedError
from harness.train.store_waits import StoreLostError
from harness.train.writing import WriteError


def describe(segment: Segment, error: BaseException) -> SegmentFailed:
    """The event that reports `error`; call it where the exception is caught."""
    kind, message = _classify(error)
    return SegmentFailed(
        trial=segment.trial,
        attempt=segment.attempt,
        failure=kind,
        message=message,
        traceback="".join(traceback.format_exception(error)),
        time=now_ms(),
    )


_OWN: tuple[tuple[type[Exception], FailureKind], ...] = (
    (DivergedError, "diverged"),
    (InfeasibleError, "infeasible"),
    (StoreLostError, "preempted"),
    (WriteError, "crash"),
    # The user's own network is at fault, or weights are not to be had.
    (PluginError, "user_code"),
    (HarnessError, "user_code"),
)
"""Exceptions whose messages are sentences, and what they are; the first that fits holds."""


def _classify(error: BaseException) -> tuple[FailureKind, str]:
    if is_out_of_memory(error):
        return "out_of_memory", "The configuration needs more memory than there is."
    for own, kind in _OWN:
        if isinstance(error, own):
            return kind, str(error)
    first_line = str(error).strip().split("\n", 1)[0]
    return "user_code", f"{type(error).__name__}: {first_line}"
