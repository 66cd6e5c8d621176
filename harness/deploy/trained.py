"""A trial's model, or an ensemble's, with everything that an export says of where it comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.deploy.licences import licences
from harness.errors import ExportError
from harness.paths import StudyPaths, sha256_of
from harness.records import Dataset, EnsembleSaved, Evaluation
from harness.study.state import StudyState
from harness.study.trial import Trial


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model file of a study, and what is known of it."""

    file: Path
    """The `.keras` file; `reference.npz` stands beside it."""
    sha256: str
    """The SHA-256 of the file as it was written, in hex."""
    dataset: Dataset
    provenance: dict[str, Any] = field(default_factory=dict)
    """JSON-serialisable: study, trial, parameters, metrics, versions."""
    reference: Path | None = None
    """The study's folder of reference images; without one, they are taken from the prepared data."""
    max_pixels: int | None = None
    """Pixels of the largest image file that training has read, if that was limited."""
    evaluations: tuple[Evaluation, ...] = ()
    """How it does on the validation images and, if it was ever tried on them, on the test images."""
    licences: dict[str, str] = field(default_factory=dict)
    """Of the data and of the backbone, by these names."""


def trained_model(paths: StudyPaths, state: StudyState, trial: Trial) -> TrainedModel:
    """The model of a trial.

    Args:
        paths: of the study.
        state: of the study.
        trial: one of its trials.

    Raises:
        ExportError: the trial has no model, because it was not trained to its end.
    """
    if trial.model is None:
        raise ExportError(
            f"Trial {trial.number} of {paths.folder.name} has no model, because it is {trial.state}. "
            "Only trials that were trained to the end have one."
        )
    return TrainedModel(
        file=paths.folder / trial.model.file,
        sha256=trial.model.sha256,
        dataset=state.started.dataset,
        provenance=_provenance(state, trial),
        reference=paths.reference,
        max_pixels=state.experiment.dataset.max_pixels,
        evaluations=tuple(trial.shown_evaluations),
        licences=licences(state.experiment.dataset.source, trial.params),
    )


def averaged_model(paths: StudyPaths, state: StudyState, ensemble: EnsembleSaved) -> TrainedModel:
    """The model of an ensemble.

    Args:
        paths: of the study.
        state: of the study.
        ensemble: one of its ensembles.
    """
    source = state.experiment.dataset.source
    return TrainedModel(
        file=paths.folder / ensemble.file,
        sha256=ensemble.sha256,
        dataset=state.started.dataset,
        provenance=_provenance_of_ensemble(state, ensemble),
        reference=paths.reference,
        max_pixels=state.experiment.dataset.max_pixels,
        evaluations=(ensemble.evaluation, *_tested(state, ensemble)),
        licences={
            what: licence
            for member in ensemble.members
            for what, licence in licences(source, state.trials[member.trial].params).items()
        },
    )


def _tested(state: StudyState, ensemble: EnsembleSaved) -> list[Evaluation]:
    """How an ensemble does on the test images, if it was ever tried on them."""
    opening = state.ensemble_openings.get(ensemble.number)
    return [] if opening is None or opening.evaluation is None else [opening.evaluation]


def ensemble_bundle_folder(paths: StudyPaths, ensemble: EnsembleSaved) -> Path:
    """Where an ensemble's export goes unless somebody says otherwise, relative to the working directory."""
    return Path("exports") / f"{paths.folder.name}-ensemble-{ensemble.number:05d}"


def bundle_folder(paths: StudyPaths, trial: Trial) -> Path:
    """Where a trial's export goes unless somebody says otherwise, relative to the working directory."""
    return Path("exports") / f"{paths.folder.name}-trial-{trial.number:05d}"


def check_file(source: TrainedModel) -> None:
    """Raises ExportError if the model's file is missing, or is not the one that was written."""
    check_recorded(source.file, source.sha256)


def check_recorded(file: Path, sha256: str) -> None:
    """Raises ExportError if a model's file is missing, or has not this SHA-256."""
    if not file.is_file():
        raise ExportError(f"The model file {file} is missing.")
    if sha256_of(file) != sha256:
        raise ExportError(f"The model file {file} is damaged: its SHA-256 is not the recorded one.")


def _provenance(state: StudyState, trial: Trial) -> dict[str, Any]:
    return {
        **_origin(state),
        "trial": trial.number,
        "seed": trial.seed,
        "params": trial.params,
        "score": trial.score,
        "epochs": trial.last_epoch,
        "metrics": trial.final_metrics,
        "trained": _day(trial.ended_ms),
    }


def _provenance_of_ensemble(state: StudyState, ensemble: EnsembleSaved) -> dict[str, Any]:
    picks = sum(member.picks for member in ensemble.members)
    return {
        **_origin(state),
        "ensemble": ensemble.number,
        "trained": _day(ensemble.time),
        "chosen": ensemble.how,
        "score": ensemble.score,
        "metrics": {f"val_{name}": value for name, value in ensemble.evaluation.metrics.items()},
        "gain": asdict(ensemble.gain),
        "members": [
            {
                "trial": member.trial,
                "weight": member.picks / picks,
                "model_sha256": member.model_sha256,
                "seed": trial.seed,
                "params": trial.params,
                "score": trial.score,
                "epochs": trial.last_epoch,
            }
            for member in ensemble.members
            if (trial := state.trials[member.trial])
        ],
    }


def _origin(state: StudyState) -> dict[str, Any]:
    """What is the same for all models of a study."""
    study, objective = state.started, state.objective
    return {
        "study": study.study,
        "study_id": study.study_id,
        "objective": {"metric": objective.name, "direction": objective.direction},
        "git_commit": study.git_commit,
        "versions": study.versions,
        "test_openings": len(state.test_openings),
    }


def _day(milliseconds: int | None) -> str | None:
    """The day in UTC, such as 2026-01-31; None if the time is not known."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
