"""`harness export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import JsonOption, OutOption

if TYPE_CHECKING:
    from harness.paths import StudyPaths
    from harness.sweep.history import History, TrialHistory


def export(
    study: Annotated[str | None, typer.Option("--study", help="By default the study last active.")] = None,
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="By default the best one.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="An MLflow run id, instead of a trial.")] = None,
    out: OutOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is there.")] = False,
    json_: JsonOption = False,
) -> None:
    """Export a model for deployment: Keras, SavedModel, labels, metadata, checksums; all verified.

    Every file is loaded again and compared with what the trained model predicted for validation images, and
    the SavedModel is tried on image files of every kind: the data set's own, and drawn ones.
    """
    from harness.cli.studies import open_study
    from harness.cli.tables import print_json
    from harness.deploy.export import TrainedModel, export_model
    from harness.errors import ExportError, UsageError

    if run is not None:
        if study is not None or trial is not None:
            raise UsageError("--run says which trial it is; leave --study and --trial out.")
        paths, history, chosen = _shown_by(run)
    else:
        paths, history = open_study(study)
        chosen = _choose(history, trial)
    if chosen.model is None:
        raise ExportError(
            f"Trial {chosen.number} of {paths.folder.name} has no model, because it is {chosen.state}. "
            "Only trials that were trained to the end have one."
        )
    assert history.study is not None
    typer.echo(f"exporting trial {chosen.number} of {paths.folder.name} …", err=True)
    target = out or Path("exports") / f"{paths.folder.name}-trial-{chosen.number:05d}"
    bundle = export_model(
        TrainedModel(
            file=paths.folder / chosen.model.file,
            sha256=chosen.model.sha256,
            dataset=history.study.dataset,
            provenance=_provenance(history, chosen),
            reference=paths.reference,
            max_pixels=history.study.experiment["dataset"].get("max_pixels"),
        ),
        target,
        replace=replace,
    )
    for parity in bundle.parity:
        typer.echo(f"  {parity.sentence()}", err=True)
    for warning in bundle.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json_:
        from dataclasses import asdict

        print_json(
            {
                "folder": str(bundle.folder),
                "parity": [asdict(one) for one in bundle.parity],
                "warnings": bundle.warnings,
            }
        )
    else:
        print(target)


def _choose(history: History, trial: int | None) -> TrialHistory:
    from harness.errors import ExportError, StudyError
    from harness.sweep.history import best

    name = history.study.study if history.study else "the study"
    if trial is None:
        winner = best(history)
        if winner is None:
            raise ExportError(f"No trial of {name} is complete, so there is no model to export.")
        return winner
    if trial not in history.trials:
        raise StudyError(f"{name} has no trial {trial}; its trials are 0 to {len(history.trials) - 1}.")
    return history.trials[trial]


def _shown_by(run: str) -> tuple[StudyPaths, History, TrialHistory]:
    """The study here that an MLflow run belongs to, and its trial; names do not matter."""
    from harness.cli.studies import open_study
    from harness.errors import ExportError, StudyError
    from harness.paths import home, study_names, tracking_uri
    from harness.sweep.event_log import find_study
    from harness.tracking.audit import origin_of_run

    origin = origin_of_run(tracking_uri(), run)
    name = find_study(origin.study_id)
    if name is None:
        namesake = " The study of that name here is another one." if origin.study in study_names() else ""
        download = "".join(
            f" Its model: mlflow artifacts download -u models:/{model}" for model in origin.models[:1]
        )
        raise StudyError(
            f"The MLflow run {run} shows trial {origin.trial} of the study {origin.study!r} with the id "
            f"{origin.study_id}, which is not in {home()}.{namesake} Set HARNESS_HOME to where it "
            f"is.{download}"
        )
    paths, history = open_study(name)
    chosen = _choose(history, origin.trial)
    if origin.sha256 and chosen.model is not None and chosen.model.sha256 != origin.sha256:
        raise ExportError(
            f"The model of trial {chosen.number} of {name} is not the one that the MLflow run {run} has "
            f"(their SHA-256 differ). Bring MLflow up to date with: harness sync {name}"
        )
    return paths, history, chosen


def _provenance(history: History, trial: TrialHistory) -> dict[str, object]:
    study = history.study
    assert study is not None
    return {
        "study": study.study,
        "study_id": study.study_id,
        "trial": trial.number,
        "seed": trial.seed,
        "params": trial.params,
        "objective": study.experiment["objective"],
        "score": trial.score,
        "epochs": max(trial.epochs, default=0),
        "metrics": trial.epochs[max(trial.epochs)] if trial.epochs else {},
        "git_commit": study.git_commit,
        "versions": study.versions,
    }
