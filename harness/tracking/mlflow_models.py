"""The model of a trial or an ensemble in MLflow: made once, and filled anew when a repeated segment has
written the file anew."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.records import EnsembleSaved, ModelSaved
from harness.tracking.mlflow_client import search_models
from harness.tracking.mlflow_content import origin_tags
from harness.tracking.mlflow_runs import ENSEMBLE, STUDY_ID, TRIAL, ensemble_key, key_in_words
from harness.tracking.mlflow_session import Session
from harness.tracking.model_folder import write_model_folder
from harness.tracking.registered import KerasModel

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_model(client: MlflowClient, session: Session, study_folder: Path, event: ModelSaved) -> None:
    """Give a trial's run the model that the event tells of."""
    digests = {"sha256": event.sha256}
    if event.weights_sha256:
        digests["weights_sha256"] = event.weights_sha256
    _log(client, session, study_folder, event, event.trial, {TRIAL: str(event.trial)}, digests, event.epoch)


def log_ensemble(client: MlflowClient, session: Session, study_folder: Path, event: EnsembleSaved) -> None:
    """Give an ensemble's run the model that the event tells of."""
    digests = {"sha256": event.sha256, "weights_sha256": event.weights_sha256}
    tags = {ENSEMBLE: str(event.number)}
    _log(client, session, study_folder, event, ensemble_key(event.number), tags, digests, 0)


def _log(
    client: MlflowClient,
    session: Session,
    study_folder: Path,
    event: ModelSaved | EnsembleSaved,
    key: int,
    tags: dict[str, str],
    digests: dict[str, str],
    step: int,
) -> None:
    """Give a run its model.

    Args:
        client: of the store.
        session: what is known of it.
        study_folder: where the model's file is.
        event: that tells of it.
        key: which run, as in `Session.runs`.
        tags: of the model, that say whose it is.
        digests: more of them, that say what it is recognised by.
        step: that it is shown at.
    """
    from mlflow.entities import LoggedModelOutput

    run = session.runs[key]
    model_id = session.models.get(key)
    if model_id is None and session.known:
        model_id = existing_model(client, session, key)
    outputs = None
    if model_id is not None:
        # A segment that was cut off after it had told of its model has been repeated and has written
        # the file anew, with other bytes: Keras puts the time into it.
        client.set_logged_model_tags(model_id, digests)
        outputs = client.get_run(run).outputs
    else:
        whose, _, number = key_in_words(key).partition(" ")
        model_id = client.create_logged_model(
            session.experiment_id,
            name=f"{session.study.study}-{whose}-{int(number):05d}".replace(".", "-"),
            source_run_id=run,
            tags={**origin_tags(), STUDY_ID: session.study.study_id, **tags, **digests},
            params={"parameters": str(event.parameters), "epoch": str(step)},
            model_type="keras",
        ).model_id
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        target.mkdir()
        dataset = session.study.dataset
        model = KerasModel(study_folder / event.file, event.sha256, dataset.classes, dataset.example_shape)
        write_model_folder(target, model, run, model_id)
        client.log_model_artifacts(model_id, str(target))
    client.finalize_logged_model(model_id, "READY")
    if outputs is None or model_id not in [known.model_id for known in outputs.model_outputs]:
        client.log_outputs(run, [LoggedModelOutput(model_id, step=step)])
    session.models[key] = model_id
    client.set_tag(run, "harness.parameters", str(event.parameters))


def model_of_trial(client: MlflowClient, session: Session, trial: int) -> str | None:
    """The id of a finished model of the trial, even of one whose run is in the bin; None if there is none."""
    whose = f"tags.`{STUDY_ID}` = '{session.study.study_id}' AND tags.`{TRIAL}` = '{trial}'"
    found = search_models(client, session.experiment_id, whose)
    ready = [model for model in found if str(model.status) == "READY"]
    ready.sort(key=lambda model: model.source_run_id != session.runs.get(trial))
    return ready[0].model_id if ready else None


def existing_model(client: MlflowClient, session: Session, trial: int) -> str | None:
    """The id of the model that a trial's run has, or by its key an ensemble's; a finished one if there are
    several."""
    found = search_models(client, session.experiment_id, f"source_run_id = '{session.runs[trial]}'")
    found.sort(key=lambda model: str(model.status) != "READY")
    return found[0].model_id if found else None
