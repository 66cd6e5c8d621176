"""`harness show`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import JsonOption


def show(
    trial: Annotated[int, typer.Argument(help="The trial's number.", min=0)],
    study: Annotated[str | None, typer.Option("--study", help="By default the study last active.")] = None,
    json_: JsonOption = False,
) -> None:
    """Show one trial: parameters, every epoch, per-class scores, confusion matrix, failure."""
    from harness.cli.studies import open_study
    from harness.cli.tables import print_trial
    from harness.errors import StudyError

    paths, history = open_study(study)
    if trial not in history.trials:
        raise StudyError(
            f"The study {paths.folder.name} has no trial {trial}; "
            f"its trials are 0 to {len(history.trials) - 1}."
        )
    print_trial(history.trials[trial], as_json=json_)
