"""`harness report`."""

from __future__ import annotations

from pathlib import Path

from harness.cli.options import OutOption, StudyArgument


def report(study: StudyArgument = None, out: OutOption = None) -> None:
    """Write a study as one HTML page that opens anywhere: leaderboard, curves, importances, Pareto front."""
    from harness.analysis.report import write_report
    from harness.errors import StudyError
    from harness.study.opening import open_study

    paths, state = open_study(study)
    target = out or Path(f"{paths.folder.name}.html")
    if not target.parent.is_dir():
        raise StudyError(f"The folder {target.parent} does not exist. Choose another --out.")
    write_report(state, target, paths.folder)
    print(target)
