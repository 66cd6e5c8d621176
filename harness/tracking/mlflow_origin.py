"""Which study and trial a run in MLflow shows: the way back from what people see there."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import StudyError
from harness.tracking.address import check_mlflow_address
from harness.tracking.mlflow_client import connect, run_with
from harness.tracking.mlflow_runs import ENSEMBLE, STUDY_ID, TRIAL
from harness.tracking.mlflow_study_models import study_models
from harness.tracking.sqlite_file import is_missing
from harness.tracking.store_errors import explain
from harness.tracking.stores import MLFLOW


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """What an MLflow run shows."""

    study: str
    """The study's name when the run was made; another study may have it now."""
    study_id: str
    trial: int
    sha256: str
    """The SHA-256 (hex) of the run's model; empty where MLflow knows of none."""
    models: tuple[str, ...]
    """The ids of the run's models in MLflow."""


def origin_of_run(uri: str, run_id: str) -> RunOrigin:
    """The study and trial that an MLflow run shows.

    Raises:
        StudyError: there is no such run, or it is not a trial of a study.
        StoreError: the store cannot work as it is set up.
        UnreachableError: it is away.
    """
    try:
        check_mlflow_address(uri)
        if is_missing(uri):
            raise StudyError(f"MLflow has no run {run_id!r}: there is no store at {uri} yet.")
        client = connect(uri)
        run = run_with(client, run_id)
    except Exception as error:
        raise explain(error, MLFLOW) from error
    if run is None:
        raise StudyError(f"MLflow has no run {run_id!r}. Give the whole id, as MLflow shows it.")
    tags = run.data.tags
    if tags.get(ENSEMBLE) and STUDY_ID in tags:
        raise StudyError(
            f"The MLflow run {run_id} is that of an ensemble; it is named by --ensemble: harness export "
            f"{tags.get('harness.study', 'STUDY')} --ensemble"
        )
    if not tags.get(TRIAL, "").isdecimal() or STUDY_ID not in tags:
        raise StudyError(f"The MLflow run {run_id} is not a trial; choose one of its child runs.")
    models = study_models(client, run.info.experiment_id, tags[STUDY_ID]).get(run.info.run_id, [])
    return RunOrigin(
        study=tags.get("harness.study", ""),
        study_id=tags[STUDY_ID],
        trial=int(tags[TRIAL]),
        sha256=models[0].tags.get("sha256", "") if models else "",
        models=tuple(model.model_id for model in models),
    )
