"""`harness export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from harness.cli.options import (
    EnsembleOption,
    JsonOption,
    OldStudyOption,
    OutOption,
    TrialArgument,
    one_study,
)

if TYPE_CHECKING:
    from harness.deploy.trained import TrainedModel
    from harness.paths import StudyPaths
    from harness.study.state import StudyState
    from harness.study.trial import Trial

    Exported: TypeAlias = tuple[str, TrainedModel, Path]
    """Which model it is, in words; the model; and where it goes by default."""


def export(
    study: TrialArgument = None,
    trial: Annotated[
        int | None,
        typer.Option(
            "--trial", min=0, help="By default the champion of the study's confirmation, else the best one."
        ),
    ] = None,
    ensemble: EnsembleOption = False,
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
    """Export a model for deployment: Keras, SavedModel, ONNX, LiteRT, metadata, checksums; all verified.

    Every file is loaded again with its own runtime and compared with the trained model on validation images,
    and the SavedModel is tried on image files of every kind: the data set's own, and drawn ones.
    """
    from dataclasses import asdict

    from harness.cli.tables import formats_lines, print_json
    from harness.deploy.export import export_model
    from harness.deploy.parity import Parity
    from harness.deploy.temperature import fitted_scaling
    from harness.errors import UsageError

    name = one_study(study, study_option)
    scaling = None
    if ensemble:
        if temperature_scaling:
            raise UsageError(
                "An ensemble averages probabilities, and has no logits that a temperature could divide; "
                "leave --temperature-scaling or --ensemble out."
            )
        shown, source, usual = _ensemble(name, trial, run)
    else:
        paths, state, chosen = _trial(name, trial, run, scaled=temperature_scaling)
        shown, source, usual = _model_of(paths, state, chosen)
        scaling = fitted_scaling(paths, chosen) if temperature_scaling else None
    typer.echo(f"exporting {shown} …", err=True)
    if scaling is not None:
        typer.echo(
            f"  temperature {scaling.temperature:.3f}, fitted on {scaling.images:,} validation "
            f"{source.dataset.noun}s: calibration error {scaling.calibration_error:.3f} without it, "
            f"{scaling.calibration_error_after:.3f} with it",
            err=True,
        )
    target = out or usual
    bundle = export_model(
        source,
        target,
        formats=_formats(formats),
        replace=replace,
        archive=zip_,
        temperature=scaling,
        progress=lambda step: typer.echo(f"  {step} …", err=True),
    )
    for parity in bundle.parity:
        if not isinstance(parity, Parity) or parity is bundle.parity[0]:  # the others are in the table
            typer.echo(f"  {parity.sentence()}", err=True)
    for line in formats_lines(bundle.figures, source.dataset.noun):
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


def _formats(text: str | None) -> list[str] | None:
    """The names in `--formats`; None if it was not given, UsageError if there are none in it."""
    from harness.errors import UsageError

    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--formats names no format; the Keras model alone is: --formats keras")
    return names


def _trial(
    name: str | None, number: int | None, run: str | None, *, scaled: bool
) -> tuple[StudyPaths, StudyState, Trial]:
    """The trial that is named, or that a run in MLflow shows.

    Args:
        name: the argument: a study, a run, or an address of a model in MLflow.
        number: `--trial`.
        run: `--run`.
        scaled: whether the logits are to be divided by a temperature.
    """
    from harness.errors import UsageError
    from harness.serving.named_trial import named_trial
    from harness.tracking.origin import trial_of_run

    if run is not None:
        if name is not None or number is not None:
            raise UsageError("--run says which trial it is; leave STUDY and --trial out.")
        return trial_of_run(run)
    if name is not None and not scaled:
        _refuse_unscaled(name)
    return named_trial(name, number)


def _refuse_unscaled(name: str) -> None:
    """A version whose logits are divided by a temperature is not exported as another model in silence."""
    from harness.errors import UsageError
    from harness.paths import tracking_uri
    from harness.tracking.mlflow_registered import SCHEME, version_at
    from harness.tracking.registered import TEMPERATURE

    version = version_at(tracking_uri(), name) if name.startswith(SCHEME) else None
    if version is not None and TEMPERATURE in version.tags:
        raise UsageError(
            f"The logits of {name} are divided by a temperature ({version.tags[TEMPERATURE]}); add "
            "--temperature-scaling to export it so, or name the study and --trial."
        )


def _model_of(paths: StudyPaths, state: StudyState, trial: Trial) -> Exported:
    from harness.deploy.trained import bundle_folder, trained_model

    shown = f"trial {trial.number} of {paths.folder.name}"
    return shown, trained_model(paths, state, trial), bundle_folder(paths, trial)


def _ensemble(name: str | None, number: int | None, run: str | None) -> Exported:
    """The study's latest ensemble."""
    from harness.deploy.trained import averaged_model, ensemble_bundle_folder
    from harness.errors import UsageError
    from harness.study.finished import latest_ensemble
    from harness.study.opening import open_study

    if number is not None or run is not None:
        raise UsageError("--ensemble names the model; leave --trial and --run out.")
    paths, state = open_study(name)
    latest = latest_ensemble(state)
    shown = f"ensemble {latest.number} of {paths.folder.name}"
    return shown, averaged_model(paths, state, latest), ensemble_bundle_folder(paths, latest)
