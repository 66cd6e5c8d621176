"""Schedulers decide which trial trains how far: a file and a line here for each."""

from __future__ import annotations

from harness.registry import registered
from harness.schedulers.kind import SchedulerKind

DEFAULT_SCHEDULER = "asha"
SCHEDULERS: dict[str, SchedulerKind] = registered(
    __name__,
    {
        "asha": "halving:KIND",
        "hyperband": "hyperband:KIND",
        "screen": "screening:KIND",
        "median": "pruners:MEDIAN",
        "percentile": "pruners:PERCENTILE",
        "patient": "pruners:PATIENT",
        "threshold": "pruners:THRESHOLD",
        "none": "full:KIND",
    },
)
"""By the value of `scheduler.kind` in an experiment file."""
