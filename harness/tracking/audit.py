"""What MLflow and Optuna's storage hold of a study, for comparison with its event log."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from harness.paths import sha256_of
from harness.tracking.mlflow_view import PAGE, STUDY_ID, TRIAL, study_models

MODEL_FILE = "data/model.keras"
Point = tuple[str, int, float]
"""Metric, step, value."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One run of a study in MLflow."""

    run_id: str
    trial: int | None
    """None: the study's own run."""
    status: str
    tags: dict[str, str]
    points: list[Point]
    """Every recorded value; a doubled one stands here twice."""
    models: list[str] = field(default_factory=list)
    """For each of its models the SHA-256 (hex) of the `.keras` file; empty where there is no file."""


def tracked_runs(uri: str, experiment: str, study_id: str) -> list[TrackedRun]:
    """Every run of the study; none if MLflow does not know its experiment."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    models: dict[str, list[str]] = {}
    for model in study_models(client, found.experiment_id, study_id):
        if model.source_run_id:
            models.setdefault(model.source_run_id, []).append(_sha256(uri, model.artifact_location))
    runs: list[TrackedRun] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [found.experiment_id], f"tags.`{STUDY_ID}` = '{study_id}'", max_results=PAGE, page_token=token
        )
        for run in page:
            number = run.data.tags.get(TRIAL)
            points = [
                (name, metric.step, metric.value)
                for name in run.data.metrics
                for metric in client.get_metric_history(run.info.run_id, name)
            ]
            runs.append(
                TrackedRun(
                    run_id=run.info.run_id,
                    trial=None if number is None else int(number),
                    status=run.info.status,
                    tags=run.data.tags,
                    points=points,
                    models=models.get(run.info.run_id, []),
                )
            )
        token = page.token
        if not token:
            return runs


def _sha256(tracking_uri: str, location: str) -> str:
    """Of the model file in an artifact folder, wherever that is."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow.artifacts import download_artifacts

    address = urlparse(location)
    if address.scheme in ("", "file"):
        file = Path(url2pathname(address.path)) / MODEL_FILE
        return sha256_of(file) if file.is_file() else ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = download_artifacts(
                artifact_uri=f"{location}/{MODEL_FILE}", dst_path=folder, tracking_uri=tracking_uri
            )
        except Exception:  # noqa: BLE001 - whatever the store raises, the file is not there
            return ""
        return sha256_of(Path(found))


def stored_states(url: str, study_id: str) -> dict[int, str]:
    """Optuna's state of every trial, by the trial's number in the study."""
    import optuna

    from harness.tracking.optuna_view import STUDY_ID as OPTUNA_STUDY_ID
    from harness.tracking.optuna_view import open_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url)
    states: dict[int, str] = {}
    for summary in optuna.get_all_study_summaries(storage):
        if summary.user_attrs.get(OPTUNA_STUDY_ID) == study_id:
            for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials:
                states[int(trial.user_attrs.get("trial", trial.number))] = trial.state.name.lower()
    return states
