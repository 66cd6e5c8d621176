"""What MLflow holds of a study; nothing is changed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import url2pathname

from harness.paths import sha256_of
from harness.tracking.address import check_mlflow_address
from harness.tracking.cursor import Cursor
from harness.tracking.mlflow_client import connect
from harness.tracking.mlflow_experiment import in_bin
from harness.tracking.mlflow_runs import find_study, is_deleted, run_key
from harness.tracking.mlflow_study_models import outputs_of, study_models
from harness.tracking.sqlite_file import is_missing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL_FILE = "data/model.keras"
Point = tuple[str, int, float]
"""Metric, step, value."""
NOWHERE = Cursor()
"""The cursor of a study that has not been seen in MLflow."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One run of a study in MLflow."""

    run_id: str
    """The run's id in MLflow; empty for a run that was deleted for good."""
    trial: int | None
    """The trial's number, or an ensemble's key (see `ensemble_key`); None for the study's own run."""
    status: str
    tags: dict[str, str]
    points: list[Point]
    """Every recorded value; a doubled one stands here twice. None of a deleted run's."""
    models: list[str] = field(default_factory=list)
    """The SHA-256 (hex) of the `.keras` file of each of the run's models; empty where there is no file."""
    deleted: bool = False
    """Whether somebody has deleted the run."""
    model_deleted: bool = False
    """Whether somebody has deleted the model that the run had made."""


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
        started: the log's number of the start of each trial, and of each ensemble by its key, to tell a run
            that was deleted for good from one that was never made.

    Raises:
        StoreError: the store cannot work as it is set up, or the study's experiment lies in the bin.
        Exception: whatever MLflow and the libraries beneath it raise.
    """
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
            _removed("", trial)
            for trial, seq in (started or {}).items()
            if seq <= cursor.seq and trial not in seen
        ]
    return runs


def _tracked(client: MlflowClient, run: Run, models: list[str]) -> TrackedRun:
    own = run.info.run_id
    key = run_key(run.data.tags)
    deleted = is_deleted(run)
    points = [
        (name, metric.step, metric.value)
        for name in run.data.metrics
        for metric in client.get_metric_history(own, name)
    ]
    return TrackedRun(
        run_id=own,
        trial=key,
        status=run.info.status,
        tags=run.data.tags,
        points=[] if deleted else points,
        models=models,
        deleted=deleted,
        model_deleted=key is not None and bool(outputs_of(run)) and not models,
    )


def _removed(run_id: str, trial: int) -> TrackedRun:
    return TrackedRun(run_id=run_id, trial=trial, status="", tags={}, points=[], deleted=True)


def _sha256(tracking_uri: str, location: str) -> str:
    """The SHA-256 (hex) of the model file in an artifact folder, wherever that is; empty without a file."""
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
