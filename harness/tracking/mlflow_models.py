"""The model of a trial in MLflow: made once, and filled anew when a repeated segment has written it anew."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.records import ModelSaved
from harness.tracking.mlflow_client import search_models
from harness.tracking.mlflow_content import origin_tags
from harness.tracking.mlflow_runs import STUDY_ID, TRIAL
from harness.tracking.mlflow_session import Session
from harness.tracking.model_folder import write_model_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_model(client: MlflowClient, session: Session, study_folder: Path, event: ModelSaved) -> None:
    """Give a trial's run the model that the event tells of."""
    from mlflow.entities import LoggedModelOutput

    run = session.runs[event.trial]
    digests = {"sha256": event.sha256}
    if event.weights_sha256:
        digests["weights_sha256"] = event.weights_sha256
    model_id = session.models.get(event.trial)
    if model_id is None and session.known:
        model_id = existing_model(client, session, event.trial)
    outputs = None
    if model_id is not None:
        # A segment that was cut off after it had told of its model has been repeated and has written
        # the file anew, with other bytes: Keras puts the time into it.
        client.set_logged_model_tags(model_id, digests)
        outputs = client.get_run(run).outputs
    else:
        model_id = client.create_logged_model(
            session.experiment_id,
            name=f"{session.study.study}-trial-{event.trial:05d}".replace(".", "-"),
            source_run_id=run,
            tags={
                **origin_tags(),
                STUDY_ID: session.study.study_id,
                TRIAL: str(event.trial),
                **digests,
            },
            params={"parameters": str(event.parameters), "epoch": str(event.epoch)},
            model_type="keras",
        ).model_id
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        target.mkdir()
        write_model_folder(target, study_folder / event.file, session.study.dataset, event, run, model_id)
        client.log_model_artifacts(model_id, str(target))
    client.finalize_logged_model(model_id, "READY")
    if outputs is None or model_id not in [known.model_id for known in outputs.model_outputs]:
        client.log_outputs(run, [LoggedModelOutput(model_id, step=event.epoch)])
    session.models[event.trial] = model_id
    client.set_tag(run, "harness.parameters", str(event.parameters))


def model_of_trial(client: MlflowClient, session: Session, trial: int) -> str | None:
    """The id of a finished model of the trial, even of one whose run is in the bin; None if there is none."""
    whose = f"tags.`{STUDY_ID}` = '{session.study.study_id}' AND tags.`{TRIAL}` = '{trial}'"
    found = search_models(client, session.experiment_id, whose)
    ready = [model for model in found if str(model.status) == "READY"]
    ready.sort(key=lambda model: model.source_run_id != session.runs.get(trial))
    return ready[0].model_id if ready else None


def existing_model(client: MlflowClient, session: Session, trial: int) -> str | None:
    """The id of the model that the trial's run has; a finished one if there are several."""
    found = search_models(client, session.experiment_id, f"source_run_id = '{session.runs[trial]}'")
    found.sort(key=lambda model: str(model.status) != "READY")
    return found[0].model_id if found else None
