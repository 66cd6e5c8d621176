"""How far MLflow has been brought up to date with a study's event log, and where it keeps the study."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness.paths import StudyPaths, write_text


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a study's `tracking.json` says; a cursor that is lost costs time, never data."""

    seq: int = 0
    """The last record of the event log that is in MLflow for certain."""
    outdated: bool = False
    """MLflow may tell of records that the log has lost since, so the study's runs must be rebuilt."""
    experiment: str = ""
    """The id of the experiment that holds the study: experiments may be renamed."""
    run: str = ""
    """The id of the study's own run, by which the store is known again."""
    left_out: tuple[int, ...] = ()
    """Trials that lack records up to `seq` in MLflow, because their runs had been deleted there."""


def read_cursor(file: Path) -> Cursor:
    """The cursor in `file`; one that says nothing if there is none, or if it cannot be read."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Cursor(
            seq=int(values["seq"]),
            outdated=bool(values.get("outdated", False)),
            experiment=str(values.get("experiment", "")),
            run=str(values.get("run", "")),
            left_out=tuple(int(trial) for trial in values.get("left_out", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Cursor()


def cursor_text(cursor: Cursor) -> str:
    """The content of a cursor's file."""
    return json.dumps(
        {
            "seq": cursor.seq,
            "experiment": cursor.experiment,
            "run": cursor.run,
            "left_out": list(cursor.left_out),
        }
        | ({"outdated": True} if cursor.outdated else {})
    )


def rebuild_runs(paths: StudyPaths) -> None:
    """Let the next tracker rebuild the study's runs, because records that they may tell of were lost.

    Values cannot be taken back from a run in MLflow, only whole runs can.
    """
    before = read_cursor(paths.tracking_cursor)
    write_text(
        paths.tracking_cursor,
        cursor_text(Cursor(outdated=True, experiment=before.experiment, run=before.run)),
    )
