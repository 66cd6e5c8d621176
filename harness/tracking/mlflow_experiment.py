"""The MLflow experiment that a study's runs are in: which one, how it is made, what if it was deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.errors import StoreError
from harness.tracking.address import is_database
from harness.tracking.cursor import Cursor
from harness.tracking.mlflow_client import experiment_with, search_runs
from harness.tracking.mlflow_runs import SUPERSEDED, is_deleted, supersede
from harness.tracking.stores import mlflow_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

CHOSEN = "MLFLOW_EXPERIMENT_NAME"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment in MLflow's view of training runs rather than in that of language models."""


def experiment_name(name: str) -> str:
    """The MLflow experiment: `MLFLOW_EXPERIMENT_NAME`, else the experiment file's name."""
    return os.environ.get(CHOSEN) or name


def create_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """A new experiment in the store at `uri`; its id."""
    location = None
    folder = Path("mlruns").absolute()
    if is_database(uri) and "%" in str(folder):
        # MLflow takes a local artifact folder for quoted when it opens it, but does not quote it.
        location = f"{folder.as_uri()}/{uuid4().hex[:8]}"
    made: str = client.create_experiment(name, artifact_location=location, tags=KIND)
    return made


def restore_experiment(client: MlflowClient, experiment: Experiment) -> None:
    """Take an experiment out of the bin, with its runs, but not those that we had deleted ourselves."""
    client.restore_experiment(experiment.experiment_id)
    supersede(client, search_runs(client, [experiment.experiment_id], f"tags.`{SUPERSEDED}` = 'true'"))


def check_experiment(client: MlflowClient, name: str, cursor: Cursor, study: str) -> None:
    """Raise StoreError if the study's experiment lies in the bin, or if this is no MLflow server at all.

    Args:
        client: of the store.
        name: of the experiment that a new study goes to.
        cursor: of the study.
        study: its name; nothing for one that has not begun.
    """
    own = experiment_with(client, cursor.experiment) if cursor.experiment else None
    named = client.get_experiment_by_name(name)
    if named is not None and not named.experiment_id:  # some other server that answers in JSON
        store = mlflow_store()
        raise StoreError(f"What answers at {store.shown} is not an MLflow server. Check {store.setting}.")
    if own is not None and not (is_deleted(own) and leaves(own, name)):
        named = own
    if named is not None and is_deleted(named):
        raise in_bin(named, study)


def leaves(own: Experiment, name: str) -> bool:
    """Whether a study whose experiment was deleted has been told to go to another one."""
    return bool(os.environ.get(CHOSEN)) and own.name != name


def in_bin(experiment: Experiment, study: str) -> StoreError:
    """What to say of an experiment that was deleted."""
    restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
    also = f" or `harness sync {study} --restore`" if study else ""
    return StoreError(
        f"The MLflow experiment {experiment.name!r} was deleted and lies in MLflow's bin, so no run can be "
        f"written to it. Restore it with `{restore}`{also}, or name another experiment with {CHOSEN}=NAME."
    )
