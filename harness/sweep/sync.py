"""Bring MLflow and Optuna's storage up to date with a study's event log, after they were away."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import HarnessError, StoreError, StudyError, UnreachableError
from harness.paths import StudyPaths, sync_file
from harness.records import StudyStarted
from harness.sweep.event_log import read
from harness.sweep.lock import study_lock
from harness.tracking.follower import told_once
from harness.tracking.mlflow_experiment import experiment_name
from harness.tracking.store_errors import explain
from harness.tracking.trackers import TRACKERS, TrackedStudy


def sync_study(
    paths: StudyPaths, *, note: Callable[[str], None] = lambda _: None, restore: bool = False
) -> int:
    """Write what is missing; what is there already is found and left alone.

    Args:
        paths: of the study.
        note: told what was deleted in a store, and what becomes of it.
        restore: make that again, instead of leaving it out.

    Returns:
        The number of records in the log.

    Raises:
        StudyError: the study is running, its log is damaged, or it never began.
        StoreError: a store cannot work as it is set up.
        UnreachableError: a store is away.
    """
    with study_lock(paths):
        records = read(paths.log)
        if not records or not isinstance(records[0].event, StudyStarted):
            raise StudyError(f"The study {paths.folder.name} never began: its event log is empty.")
        sync_file(paths.log)  # no view may know of what a power cut can take away
        tracked = TrackedStudy(
            paths,
            experiment_name(records[0].event.experiment["name"]),
            note=told_once(note),
            restore=restore,
        )
        problems: list[tuple[str, HarnessError]] = []
        for kind in TRACKERS:
            tracker = kind.make(tracked)
            try:
                tracker.apply(records)
                tracker.reconcile()
            except Exception as error:  # noqa: BLE001 - a store may fail in any way; the others are written
                problems.append((kind.name, explain(error, kind.name)))
    if problems:
        lasting = any(isinstance(problem, StoreError) for _, problem in problems)
        raise (StoreError if lasting else UnreachableError)(
            " ".join(f"{name} could not be brought up to date. {problem}" for name, problem in problems)
        )
    return len(records)
