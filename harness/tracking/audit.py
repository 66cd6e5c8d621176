"""What MLflow and Optuna's storage hold of a study, for comparison with its event log; nothing is changed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import url2pathname

from harness.errors import StudyError
from harness.paths import sha256_of
from harness.tracking.address import check_mlflow_address, check_optuna_address
from harness.tracking.cursor import Cursor
from harness.tracking.mlflow_client import connect, run_with
from harness.tracking.mlflow_experiment import in_bin
from harness.tracking.mlflow_runs import STUDY_ID, TRIAL, find_study, is_deleted, outputs_of, study_models
from harness.tracking.sqlite_file import is_missing
from harness.tracking.store_errors import explain
from harness.tracking.stores import MLFLOW, OPTUNA

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL_FILE = "data/model.keras"
Point = tuple[str, int, float]
"""Metric, step, value."""
NOWHERE = Cursor()
"""Of a study that has not been seen in MLflow."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One run of a study in MLflow."""

    run_id: str
    """Nothing for a run that was deleted for good."""
    trial: int | None
    """None: the study's own run."""
    status: str
    tags: dict[str, str]
    points: list[Point]
    """Every recorded value; a doubled one stands here twice. None of a deleted run's."""
    models: list[str] = field(default_factory=list)
    """For each of its models the SHA-256 (hex) of the `.keras` file; empty where there is no file."""
    deleted: bool = False
    """Somebody has deleted it."""
    model_deleted: bool = False
    """Somebody has deleted the model that it had made."""


def tracked_runs(
    uri: str,
    experiment: str,
    study_id: str,
    *,
    study: str = "",
    cursor: Cursor = NOWHERE,
    started: Mapping[int, int] | None = None,
) -> list[TrackedRun]:
    """Every run of the study, those that somebody has deleted included; none if MLflow knows nothing of it.

    Args:
        uri: of the store.
        experiment: where a study of this experiment goes.
        study_id: of the study.
        study: its name, for sentences.
        cursor: how far the store had been brought.
        started: the log's number of the start of each trial, to tell a run that was deleted for good from
            one that was never made.

    Raises:
        StoreError: the store cannot work as it is set up, or the study's experiment lies in the bin.
        UnreachableError: it is away.
    """
    try:
        return _tracked_runs(uri, experiment, study_id, study, cursor, started or {})
    except Exception as error:
        raise explain(error, MLFLOW) from error


def _tracked_runs(
    uri: str, experiment: str, study_id: str, study: str, cursor: Cursor, started: Mapping[int, int]
) -> list[TrackedRun]:
    check_mlflow_address(uri)
    if is_missing(uri):
        return []
    client = connect(uri)
    found = find_study(client, experiment, study_id, cursor)
    if found.experiment is None or not found.known:
        return []
    if is_deleted(found.experiment):
        raise in_bin(found.experiment, study)
    models = {
        run: [_sha256(uri, model.artifact_location) for model in made]
        for run, made in study_models(client, found.experiment.experiment_id, study_id).items()
    }
    own = [found.study] if found.study is not None else []
    runs = [
        _tracked(client, run, models.get(run.info.run_id, []))
        for run in (*own, *found.trials.values(), *found.needless)
    ]
    runs += [_removed(run.info.run_id, trial) for trial, run in found.deleted.items()]
    if found.is_of(cursor):
        seen = {run.trial for run in runs}
        runs += [
            _removed("", trial) for trial, seq in started.items() if seq <= cursor.seq and trial not in seen
        ]
    return runs


def _tracked(client: MlflowClient, run: Run, models: list[str]) -> TrackedRun:
    own = run.info.run_id
    number = run.data.tags.get(TRIAL)
    deleted = is_deleted(run)
    points = [
        (name, metric.step, metric.value)
        for name in run.data.metrics
        for metric in client.get_metric_history(own, name)
    ]
    return TrackedRun(
        run_id=own,
        trial=None if number is None else int(number),
        status=run.info.status,
        tags=run.data.tags,
        points=[] if deleted else points,
        models=models,
        deleted=deleted,
        model_deleted=bool(outputs_of(run)) and not models,
    )


def _removed(run_id: str, trial: int) -> TrackedRun:
    return TrackedRun(run_id=run_id, trial=trial, status="", tags={}, points=[], deleted=True)


def _sha256(tracking_uri: str, location: str) -> str:
    """Of the model file in an artifact folder, wherever that is."""
    from mlflow.artifacts import download_artifacts

    scheme = location.partition(":")[0] if ":" in location.partition("/")[0] else ""
    if scheme in ("", "file"):
        # Read as MLflow reads it: quoted, whether or not there is a scheme.
        path = location.removeprefix("file:")
        file = Path(url2pathname(path[2:] if path.startswith("///") else path)) / MODEL_FILE
        return sha256_of(file) if file.is_file() else ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = download_artifacts(
                artifact_uri=f"{location}/{MODEL_FILE}", dst_path=folder, tracking_uri=tracking_uri
            )
        except Exception:  # noqa: BLE001 - whatever the store raises, the file is not there
            return ""
        return sha256_of(Path(found))


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """What an MLflow run shows."""

    study: str
    """The study's name when the run was made; another study may have it now."""
    study_id: str
    trial: int
    sha256: str
    """Of its model, as far as MLflow knows; else nothing."""
    models: tuple[str, ...]
    """The ids of its models in MLflow."""


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


def stored_states(url: str, study_id: str) -> dict[int, str]:
    """Optuna's state of every trial, by the trial's number in the study; none if there is no such study.

    Raises:
        StoreError: the storage cannot work as it is set up.
        UnreachableError: it is away.
    """
    import optuna

    from harness.tracking import optuna_view

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    states: dict[int, str] = {}
    try:
        check_optuna_address(url)
        if is_missing(url):
            return states
        storage = optuna_view.open_storage(url)
        for summary in optuna.get_all_study_summaries(storage):
            if summary.user_attrs.get(optuna_view.STUDY_ID) == study_id:
                for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials:
                    number = trial.user_attrs.get(optuna_view.TRIAL)
                    if number is not None:  # others were added by somebody else
                        states[int(number)] = trial.state.name.lower()
    except Exception as error:
        raise explain(error, OPTUNA) from error
    return states
