"""`harness status`."""

from __future__ import annotations

from harness.cli.options import JsonOption, StudyArgument


def status(study: StudyArgument = None, json_: JsonOption = False) -> None:
    """Say how far a study is, what is best so far, and how it ended."""
    from harness.analysis.status import status as summarise
    from harness.cli.tables import print_status
    from harness.study.lock import owner
    from harness.study.opening import open_study

    paths, state = open_study(study)
    print_status(paths, summarise(state, owner(paths)), as_json=json_)
