"""Every tracker there is: what follows a study's event log, one entry each.

A tracker is a view of the log: it can be made again from it at any time. The sweep, `harness sync` and the
suite of failures in the tests go through this list, so that another tracker is one more entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import StoreError
from harness.paths import StudyPaths, sqlite_file
from harness.records import LogRecord
from harness.tracking.address import check_mlflow_address, check_optuna_address, same_database
from harness.tracking.cursor import read_cursor
from harness.tracking.schema import check_mlflow_schema, check_optuna_schema
from harness.tracking.stores import MLFLOW, OPTUNA, mlflow_store, optuna_store


class Tracker(Protocol):
    """Something that is brought up to date from a study's event log, idempotently."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say.

        They come in order, from the log's first one, without gaps; after an error they come from the first
        one again, and what had been written is found there. Another process may have written part of them
        before.
        """

    def reconcile(self) -> None:
        """After the whole log: remove what a lost answer has made twice, and say what is left out."""


@dataclass(frozen=True, slots=True)
class TrackedStudy:
    """The study that is tracked, and how."""

    paths: StudyPaths
    experiment: str
    """The experiment's name in MLflow, for a study that is not there yet."""
    note: Callable[[str], None] = lambda _: None
    """Told what a person should know."""
    restore: bool = False
    """Make again what somebody has deleted in the store, instead of leaving it out."""


@dataclass(frozen=True, slots=True)
class TrackerKind:
    """One kind of tracker."""

    name: str
    """As in sentences."""
    make: Callable[[TrackedStudy], Tracker]
    """Opens nothing yet, so it cannot fail."""
    check: Callable[[TrackedStudy], None]
    """Raises whatever keeps the store from being written to; makes no store."""


def _make_mlflow(study: TrackedStudy) -> Tracker:
    from harness.tracking.mlflow_view import MlflowView

    return MlflowView(
        mlflow_store().address, study.experiment, study.paths, note=study.note, restore=study.restore
    )


def _check_mlflow(study: TrackedStudy) -> None:
    from harness.tracking.mlflow_experiment import check_experiment, look_up
    from harness.tracking.sqlite_file import check_writable, is_missing

    uri = mlflow_store().address
    check_mlflow_address(uri)
    if same_database(uri, optuna_store().address):
        raise StoreError(
            f"MLFLOW_TRACKING_URI and HARNESS_STORAGE name the same database ({optuna_store().shown}), and "
            "MLflow and Optuna cannot share one. Name another in HARNESS_STORAGE."
        )
    if is_missing(uri):
        return  # it will be made
    check_mlflow_schema(uri)
    own, named = look_up(uri, study.experiment, read_cursor(study.paths.tracking_cursor).run)
    check_experiment(own, named, study.paths.folder.name if study.paths.log.exists() else "")
    check_writable(uri)


def _make_optuna(_: TrackedStudy) -> Tracker:
    from harness.tracking.optuna_view import OptunaView

    return OptunaView(optuna_store().address)


def _check_optuna(_: TrackedStudy) -> None:
    from harness.tracking.optuna_view import open_storage
    from harness.tracking.sqlite_file import check_writable, is_missing

    url = optuna_store().address
    check_optuna_address(url)
    if is_missing(url):
        return  # it will be made
    check_optuna_schema(url)
    if sqlite_file(url) is None:
        open_storage(url).engine.dispose()
    check_writable(url)


TRACKERS = (
    TrackerKind(OPTUNA, _make_optuna, _check_optuna),
    TrackerKind(MLFLOW, _make_mlflow, _check_mlflow),
)
