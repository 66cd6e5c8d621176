"""`harness show`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import JsonOption, OfStudyOption


def show(
    trial: Annotated[int, typer.Argument(help="The trial's number.", min=0)],
    study: OfStudyOption = None,
    json_: JsonOption = False,
) -> None:
    """Show one trial: parameters, every epoch, per-class scores, confusion matrix, failure."""
    from harness.cli.tables import print_trial
    from harness.study.choosing import choose_trial
    from harness.study.opening import open_study
    from harness.study.openings import openings_in_words

    _, state = open_study(study)
    print_trial(choose_trial(state, trial), state.objective.name, openings_in_words(state), as_json=json_)
