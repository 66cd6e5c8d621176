"""From a run in MLflow back to the trial here that it shows."""

from __future__ import annotations

from harness.errors import ExportError, StudyError
from harness.paths import StudyPaths, home, study_names, tracking_uri
from harness.study.choosing import choose_trial
from harness.study.event_log import find_study
from harness.study.opening import open_study
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.tracking.mlflow_origin import origin_of_run


def trial_of_run(run: str) -> tuple[StudyPaths, StudyState, Trial]:
    """The study under `harness.paths.home()` that an MLflow run belongs to, and the trial that it shows.

    The study is found by its id: its name may have been given to another study, and its folder renamed.

    Args:
        run: the run's id in the MLflow store that `MLFLOW_TRACKING_URI` names.

    Raises:
        StudyError: the study is not here, or the run is none of a trial.
        ExportError: MLflow has another model for the trial than the study.
        StoreError: the MLflow store cannot work as it is set up.
        UnreachableError: the MLflow store is away.
    """
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
    paths, state = open_study(name)
    chosen = choose_trial(state, origin.trial)
    if origin.sha256 and chosen.model is not None and chosen.model.sha256 != origin.sha256:
        raise ExportError(
            f"The model of trial {chosen.number} of {name} is not the one that the MLflow run {run} has "
            f"(their SHA-256 differ). Bring MLflow up to date with: harness sync {name}"
        )
    return paths, state, chosen
