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
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is there.")] = False,
    temperature_scaling: Annotated[
        bool,
        typer.Option(
            "--temperature-scaling",
            help="Divide logits by the temperature that fits the validation images best, so that "
            "probabilities are as sure as they are right; the most probable class stays the same.",
        ),
    ] = False,
    json_: JsonOption = False,
    study_option: OldStudyOption = None,
) -> None:
    """Export a model for deployment: Keras, SavedModel, labels, metadata, checksums; all verified.

    Every file is loaded again and compared with what the trained model predicted for validation images, and
    the SavedModel is tried on image files of every kind: the data set's own, and drawn ones.
    """
    from dataclasses import asdict

    from harness.cli.tables import print_json
    from harness.confirmation.champion import champion_of
    from harness.deploy.export import export_model
    from harness.deploy.temperature import fitted_scaling
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
    scaling = fitted_scaling(paths, chosen) if temperature_scaling else None
    if scaling is not None:
        typer.echo(
            f"  temperature {scaling.temperature:.3f}, fitted on {scaling.images:,} validation images: "
            f"calibration error {scaling.calibration_error:.3f} without it, "
            f"{scaling.calibration_error_after:.3f} with it",
            err=True,
        )
    bundle = export_model(source, target, replace=replace, temperature=scaling)
    for parity in bundle.parity:
        typer.echo(f"  {parity.sentence()}", err=True)
    for warning in bundle.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json_:
        print_json(asdict(bundle) | {"folder": str(bundle.folder)})
    else:
        print(target)
