"""`harness ensemble`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import JsonOption, StorageOption, StudyArgument, use_storage


def ensemble(
    study: StudyArgument = None,
    members: Annotated[
        int | None,
        typer.Option("--members", "-m", min=2, help="How many trials at most.  \\[default: 5]"),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", "-k", min=2, help="Average so many of the best trials, without choosing."),
    ] = None,
    json_: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Average the models of a study's best trials in one Keras model; nothing is trained.

    Trials are chosen one after the other, whichever improves the average most on the validation images, and
    some of them more than once. What that gains over the best trial alone is told for images that had no say,
    too. The model is then evaluated on the test images by [bold]harness confirm STUDY --as-is
    --ensemble[/bold] and exported by [bold]harness export STUDY --ensemble[/bold].
    """
    from harness.analysis.ensemble_text import ensemble_sentence, gain_sentence
    from harness.cli.sweeping import say
    from harness.cli.tables import ensemble_dict, print_ensemble, print_json
    from harness.ensembling.ensemble import MEMBERS, make_ensemble
    from harness.errors import UnreachableError, UsageError
    from harness.study.opening import open_study

    use_storage(storage)
    if members is not None and top is not None:
        raise UsageError(
            "--members bounds what is chosen, and --top takes the best without choosing; give one."
        )
    paths, _ = open_study(study)
    name = paths.folder.name
    say(f"averaging trials of {name} …")
    made = make_ensemble(paths, members=members or MEMBERS, top=top, note=say)
    if not made.is_new:
        say("It is the study's latest ensemble already; nothing was written.")
    if json_:
        print_json(ensemble_dict(paths, made.state, made.ensemble))
    else:
        print_ensemble(made.state, made.ensemble)
    say(ensemble_sentence(made.state, made.ensemble))
    say(gain_sentence(made.state, made.ensemble))
    if made.is_new:
        say(f"next: harness confirm {name} --as-is --ensemble, harness export {name} --ensemble")
    if made.behind:
        raise UnreachableError(f"{' '.join(made.behind)} Finish it with: harness sync {name}")
