"""`harness export`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import JsonOption, OldStudyOption, OutOption, StudyArgument, one_study


def export(
    study: StudyArgument = None,
    trial: Annotated[
        int | None,
        typer.Option(
            "--trial", min=0, help="By default the champion of the study's confirmation, else the best one."
        ),
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="An MLflow run id, instead of a trial.")] = None,
    out: OutOption = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--formats",
            metavar="NAME,…",
            help="Formats, separated by commas, such as saved_model,onnx,tflite_int8 (docs/export.md lists "
            "them); the Keras model is always there. By default all whose libraries are installed.",
        ),
    ] = None,
    zip_: Annotated[bool, typer.Option("--zip", help="Write the bundle as a .zip file, too.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is there.")] = False,
    json_: JsonOption = False,
    study_option: OldStudyOption = None,
) -> None:
    """Export a model for deployment: Keras, SavedModel, ONNX, LiteRT, metadata, checksums; all verified.

    Every file is loaded again with its own runtime and compared with the trained model on validation images,
    and the SavedModel is tried on image files of every kind: the data set's own, and drawn ones.
    """
    from dataclasses import asdict

    from harness.cli.tables import formats_lines, print_json
    from harness.confirmation.champion import champion_of
    from harness.deploy.export import export_model
    from harness.deploy.parity import Parity
    from harness.deploy.trained import bundle_folder, trained_model
    from harness.errors import UsageError
    from harness.paths import StudyPaths
    from harness.study.choosing import choose_trial
    from harness.study.opening import open_study
    from harness.tracking.origin import trial_of_run

    name = one_study(study, study_option)
    if run is None:
        paths, state = open_study(name)
        champion = champion_of(state) if trial is None else None
        if champion is not None:  # what was confirmed, instead of what was luckiest in the sweep
            state, trial = champion.confirmation, champion.trial
            paths = StudyPaths.of(state.name)
        chosen = choose_trial(state, trial)
    elif name is None and trial is None:
        paths, state, chosen = trial_of_run(run)
    else:
        raise UsageError("--run says which trial it is; leave STUDY and --trial out.")
    source = trained_model(paths, state, chosen)
    typer.echo(f"exporting trial {chosen.number} of {paths.folder.name} …", err=True)
    target = out or bundle_folder(paths, chosen)
    bundle = export_model(
        source,
        target,
        formats=formats_of(formats),
        replace=replace,
        archive=zip_,
        progress=lambda step: typer.echo(f"  {step} …", err=True),
    )
    for parity in bundle.parity:
        if not isinstance(parity, Parity) or parity is bundle.parity[0]:  # the others are in the table
            typer.echo(f"  {parity.sentence()}", err=True)
    for line in formats_lines(bundle.figures):
        typer.echo(line, err=True)
    for sentence in bundle.left_out:
        typer.echo(sentence, err=True)
    for warning in bundle.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json_:
        archive = str(bundle.archive) if bundle.archive else None
        print_json(asdict(bundle) | {"folder": str(bundle.folder), "archive": archive})
    else:
        print(target)


def formats_of(text: str | None) -> list[str] | None:
    """The names in `--formats`; None if it was not given, UsageError if there are none in it."""
    from harness.errors import UsageError

    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--formats names no format; the Keras model alone is: --formats keras")
    return names
