"""Bring MLflow and Optuna's storage up to date with a study's event log, after they were away."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import UnreachableError
from harness.paths import StudyPaths, optuna_storage, tracking_uri
from harness.records import StudyStarted
from harness.sweep.event_log import read
from harness.sweep.lock import study_lock
from harness.tracking.follower import View, without_passwords
from harness.tracking.mlflow_view import MlflowView, experiment_name
from harness.tracking.optuna_view import OptunaView


def sync_study(paths: StudyPaths) -> int:
    """Write what is missing; what is there already is found and left alone.

    Returns:
        The number of records in the log.

    Raises:
        StudyError: the study is running, or its log is damaged.
        UnreachableError: a store cannot be reached.
    """
    with study_lock(paths):
        records = read(paths.log)
        started = next(record.event for record in records if isinstance(record.event, StudyStarted))
        mlflow_view = MlflowView(tracking_uri(), experiment_name(started.experiment["name"]), paths)
        views: dict[str, tuple[View, Callable[[], None]]] = {
            "Optuna's storage": (OptunaView(optuna_storage()), lambda: None),
            "MLflow": (mlflow_view, mlflow_view.reconcile),
        }
        for name, (view, reconcile) in views.items():
            try:
                view.apply(records)
                reconcile()
            except Exception as error:
                reason = without_passwords(str(error).split("\n", 1)[0])
                raise UnreachableError(f"{name} could not be brought up to date: {reason}") from error
    return len(records)
