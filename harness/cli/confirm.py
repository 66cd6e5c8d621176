"""`harness confirm`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import JsonOption, StudyArgument


def confirm(
    study: StudyArgument = None,
    trial: Annotated[
        int | None, typer.Argument(help="The trial's number; by default the best one's.", min=0)
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Evaluate the model that the trial has; nothing is trained.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Open the sealed test set for a trial: accuracy, macro averages and scores by class of its model.

    Every model of the study that is evaluated on the test images counts as an opening, and the count is shown
    wherever a test score is. To type the command again shows what was found, and opens nothing.
    """
    from dataclasses import asdict

    from harness.cli import printable
    from harness.cli.tables import print_evaluation, print_json
    from harness.confirmation.opening import open_test_set
    from harness.errors import UnreachableError, UsageError
    from harness.study.opening import open_study
    from harness.study.openings import openings_in_words

    if not as_is:
        raise UsageError(
            "Say how the test set is to be opened: --as-is evaluates the model that the trial has, without "
            "training anything."
        )

    def note(sentence: str) -> None:
        typer.echo(printable(sentence), err=True)

    paths, state = open_study(study)
    note(f"evaluating {paths.folder.name} on {state.started.dataset.counts['test']:,} test images …")
    opened = open_test_set(paths, trial, note=note)
    note(f"trial {opened.trial} of {paths.folder.name}")
    if json_:
        print_json(
            {
                "study": paths.folder.name,
                "trial": opened.trial,
                "test_openings": len(opened.state.openings),
                "test": asdict(opened.evaluation),
            }
        )
    else:
        print_evaluation(opened.evaluation, openings_in_words(opened.state))
    if opened.behind:
        raise UnreachableError(f"{' '.join(opened.behind)} Finish it with: harness sync {paths.folder.name}")
