"""What MLflow and Optuna's storage hold of a study, for comparison with its event log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from harness.tracking.mlflow_view import PAGE, STUDY_ID, TRIAL

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
    models: list[Path] = field(default_factory=list)
    """The `.keras` files of its models, where the artifacts are local."""


def tracked_runs(uri: str, experiment: str, study_id: str) -> list[TrackedRun]:
    """Every run of the study; none if MLflow does not know its experiment."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    models: dict[str, list[Path]] = {}
    for model in client.search_logged_models([found.experiment_id]):
        if model.tags.get(STUDY_ID) == study_id and model.source_run_id:
            folder = Path(url2pathname(urlparse(model.artifact_location).path))
            models.setdefault(model.source_run_id, []).append(folder / "data" / "model.keras")
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
