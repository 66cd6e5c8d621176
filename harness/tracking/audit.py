"""Ask every tracker what its store holds that differs from a study's event log; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

from harness.paths import StudyPaths
from harness.records import LogRecord
from harness.study.state import fold
from harness.tracking.store_errors import explain
from harness.tracking.tracker import Audit, TrackedStudy
from harness.tracking.trackers import TRACKERS


def audit_study(paths: StudyPaths, records: Sequence[LogRecord]) -> list[Audit]:
    """What each store holds that differs from the log, in the order of `TRACKERS`.

    Args:
        paths: of the study, which must not be running.
        records: the whole event log of the study, which must have begun.

    Raises:
        StoreError: a store cannot work as it is set up, or it cannot be compared until a person has acted.
        UnreachableError: a store is away.
    """
    study = TrackedStudy(paths, fold(records).experiment.name)
    audits: list[Audit] = []
    for name, kind in TRACKERS.items():
        try:
            audits.append(kind.make(study).audit(records))
        except Exception as error:
            raise explain(error, name) from error
    return audits
