"""A study in a few lines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.cli.tables.json_text import print_json
from harness.cli.tables.lines import duration, print_pairs

if TYPE_CHECKING:
    from harness.analysis.status import Status
    from harness.paths import StudyPaths


def print_status(paths: StudyPaths, found: Status, *, as_json: bool) -> None:
    """Print where a study stands."""
    if as_json:
        print_json(asdict(found))
        return
    states = ", ".join(f"{count} {state}" for state, count in found.states.items())
    seen = sum(found.states.values())
    lines = {
        "study": f"{found.study}  ({found.experiment} on {found.dataset})",
        "trials": f"{seen} of {found.trials}  ({states or 'none yet'})",
        "epochs": f"{found.epochs:,}",
        "best": "no trial is complete yet"
        if found.best_score is None
        else f"trial {found.best_trial}: {found.objective} {found.best_score:.4f}",
        "time": f"{duration(found.elapsed)} in {found.sessions} session{'s' * (found.sessions != 1)}",
        "state": _standing(found),
        "test set": found.test_set.removeprefix("test set "),
        "folder": str(paths.folder),
    }
    if found.refused:
        lines["refused"] = ". ".join(found.refused)
    if found.next:
        lines["next"] = found.next
    for trial, reason in found.failures.items():
        lines[f"trial {trial}"] = f"failed ({reason.replace(': ', '): ', 1)}"
    print_pairs(lines)


def _standing(found: Status) -> str:
    if found.running:
        return f"run by {found.running}, last word {duration(found.idle)} ago"
    if found.ended is None:
        return f"not running: it was cut off, last word {duration(found.idle)} ago"
    return f"ended: {found.ended}" if found.complete else f"can be resumed: {found.ended}"
