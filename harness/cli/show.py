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
    """Show one trial: parameters, epochs, scores by class, calibration, failure, machine and versions."""
    from harness.analysis.image_by_image import image_by_image
    from harness.cli.tables import champion_sentence, print_aside, print_trial
    from harness.confirmation.champion import champion_of
    from harness.study.choosing import choose_trial
    from harness.study.opening import open_study
    from harness.study.openings import openings_in_words

    paths, state = open_study(study)
    shown = choose_trial(state, trial)
    judged = image_by_image(paths.folder, state, shown)
    test_set = openings_in_words(state)
    print_trial(shown, state.objective.name, test_set, state.started, judged, as_json=json_)
    champion = None if json_ else champion_of(state)
    if champion is not None:
        print_aside(champion_sentence(champion))
