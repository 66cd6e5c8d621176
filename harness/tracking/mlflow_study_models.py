"""Which models in MLflow belong to a study, which of them somebody has deleted, and which are there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.tracking.mlflow_client import search_models
from harness.tracking.mlflow_runs import STUDY_ID, StudyRuns

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run


def study_models(client: MlflowClient, experiment_id: str, study_id: str) -> dict[str, list[LoggedModel]]:
    """Every model of a study by the id of its run, whatever its state; the one that counts stands first."""
    by_run: dict[str, list[LoggedModel]] = {}
    for model in search_models(client, experiment_id, f"tags.`{STUDY_ID}` = '{study_id}'"):
        by_run.setdefault(str(model.source_run_id), []).append(model)
    return {
        run: sorted(models, key=lambda model: str(model.status) != "READY") for run, models in by_run.items()
    }


def outputs_of(run: Run) -> list[str]:
    """The ids of the models that a run says it has made."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def without_their_model(runs: dict[int, Run], models: dict[str, list[LoggedModel]]) -> list[int]:
    """Trials whose run has made a model that somebody has deleted since."""
    return sorted(trial for trial, run in runs.items() if outputs_of(run) and run.info.run_id not in models)


def remove_needless_models(
    client: MlflowClient, found: StudyRuns, models: dict[str, list[LoggedModel]]
) -> None:
    """Remove models that were made twice, or by a run that was; those of a run in the bin stay."""
    outputs = {run.info.run_id: outputs_of(run) for run in found.trials.values()}
    for run, made in models.items():
        if run in found.superseded:
            needless = made
        elif run in outputs:
            ready = [model for model in made if str(model.status) == "READY"]
            ready.sort(key=lambda model: model.model_id not in outputs[run])
            needless = [model for model in made if model not in ready[:1]]
        else:
            continue
        for model in needless:
            client.delete_logged_model(model.model_id)
