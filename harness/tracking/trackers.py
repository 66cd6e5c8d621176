"""Trackers write a study's event log to a store elsewhere: a file and a line here for each.

What a tracker writes can be written anew from the log at any time. A sweep, `harness sync`, `harness verify`
and the suite of failures in the tests go through this registry.
"""

from __future__ import annotations

from harness.registry import registered
from harness.tracking.stores import MLFLOW, OPTUNA
from harness.tracking.tracker import TrackerKind

TRACKERS: dict[str, TrackerKind] = registered(
    "harness.tracking",
    {
        OPTUNA: "optuna_tracker:KIND",
        MLFLOW: "mlflow_tracker:KIND",
    },
)
"""Trackers by the name of their store, as it stands in sentences."""
