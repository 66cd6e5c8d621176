"""Bring the stores of all trackers up to date with a study's event log, after they were away."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import HarnessError, StoreError, StudyError, UnreachableError
from harness.paths import StudyPaths, sync_file
from harness.study.event_log import read
from harness.study.lock import study_lock
from harness.study.state import fold
from harness.tracking.notes import told_once
from harness.tracking.storage_lock import storage_lock
from harness.tracking.store_errors import explain
from harness.tracking.tracker import TrackedStudy
from harness.tracking.trackers import TRACKERS


def sync_study(
    paths: StudyPaths, *, note: Callable[[str], None] = lambda _: None, restore: bool = False
) -> int:
    """Write what is missing; what is there already is found and left alone.

    Args:
        paths: of the study.
        note: told what was deleted in a store, and what becomes of it.
        restore: write that anew, instead of leaving it out.

    Returns:
        The number of records in the log.

    Raises:
        StudyError: the study is running, its log is damaged, or it never began.
        StoreError: a store cannot work as it is set up.
        UnreachableError: a store is away.
    """
    with study_lock(paths), storage_lock(paths.folder.name, note):
        records = read(paths.log)
        state = fold(records)
        if not state.has_begun:
            raise StudyError(f"The study {paths.folder.name} never began: its event log is empty.")
        sync_file(paths.log)  # no tracker may know of what a power cut can take away
        tracked = TrackedStudy(paths, state.experiment.name, note=told_once(note), restore=restore)
        problems: list[tuple[str, HarnessError]] = []
        for name, kind in TRACKERS.items():
            tracker = kind.make(tracked)
            try:
                tracker.apply(records)
                tracker.reconcile()
            except Exception as error:  # noqa: BLE001 - a store may fail in any way; the others are written
                problems.append((name, explain(error, name)))
    if problems:
        lasting = any(isinstance(problem, StoreError) for _, problem in problems)
        raise (StoreError if lasting else UnreachableError)(
            " ".join(f"{name} could not be brought up to date. {problem}" for name, problem in problems)
        )
    return len(records)
