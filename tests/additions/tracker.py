"""A tracker that writes a study's log to a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.paths import write_text
from harness.records import LogRecord
from harness.tracking.tracker import Audit, Findings, TrackedStudy, TrackerKind


class LineTracker:
    """One line for each event: its number and its kind."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write the file anew, with these records behind those before."""
        for record in records:
            del self._lines[record.seq - 1 :]
            self._lines.append(_line(record))
        write_text(self._file, "".join(self._lines))

    def reconcile(self) -> None:
        """Nothing can be there twice."""

    def audit(self, records: Sequence[LogRecord]) -> Audit:
        """Compare the file's lines."""
        same = self._file.read_text() == "".join(map(_line, records))
        return Audit() if same else Audit(values=Findings((f"{self._file} differs from the log",)))


def _line(record: LogRecord) -> str:
    return f"{record.seq} {record.event.kind}\n"


def _make(study: TrackedStudy) -> LineTracker:
    return LineTracker(Path("tracked") / f"{study.paths.folder.name}.txt")


KIND = TrackerKind(make=_make, check=lambda _: Path("tracked").mkdir(exist_ok=True))
