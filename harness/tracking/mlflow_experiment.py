"""The MLflow experiment that a study's runs are in: which one, how it is made, what if it was deleted."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.errors import StoreError
from harness.paths import sqlite_file
from harness.tracking.address import is_database
from harness.tracking.mlflow_client import connect, experiment_with, run_with, search_runs
from harness.tracking.mlflow_runs import SUPERSEDED, is_deleted, supersede
from harness.tracking.stores import mlflow_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

CHOSEN = "MLFLOW_EXPERIMENT_NAME"
_NAMED = "SELECT experiment_id, name, lifecycle_stage FROM experiments WHERE name = ?"
_OF_RUN = (
    "SELECT experiment_id, name, lifecycle_stage FROM experiments "
    "WHERE experiment_id = (SELECT experiment_id FROM runs WHERE run_uuid = ?)"
)
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


@dataclass(frozen=True, slots=True)
class Known:
    """What has to be known of an experiment to say whether it can be used."""

    experiment_id: str
    name: str
    lifecycle_stage: str


def look_up(uri: str, name: str, run: str) -> tuple[Known | None, Known | None]:
    """The experiment that a run is in, and the one that has a name, in the store at `uri`.

    Args:
        uri: of the store.
        name: of an experiment.
        run: the id of a run, perhaps of another store's, or nothing.

    Raises:
        StoreError: what answers there is no MLflow server.
        Exception: whatever MLflow and the libraries beneath it raise.
    """
    file = sqlite_file(uri)
    if file is not None:  # to import MLflow takes a second, which a sweep's first trial would wait for
        with closing(sqlite3.connect(file)) as database:
            return _row(database, _OF_RUN, run), _row(database, _NAMED, name)
    client = connect(uri)
    named = client.get_experiment_by_name(name)
    if named is not None and not named.experiment_id:  # some other server that answers in JSON
        store = mlflow_store(uri)
        raise StoreError(f"What answers at {store.shown} is not an MLflow server. Check {store.setting}.")
    found = run_with(client, run) if run else None
    own = experiment_with(client, found.info.experiment_id) if found is not None else None
    return _known(own), _known(named)


def _row(database: sqlite3.Connection, query: str, value: str) -> Known | None:
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return None  # MLflow has not made its tables yet
    row = database.execute(query, (value,)).fetchone()
    return Known(str(row[0]), row[1], row[2]) if row else None


def _known(experiment: Experiment | None) -> Known | None:
    if experiment is None:
        return None
    return Known(experiment.experiment_id, experiment.name, experiment.lifecycle_stage)


def check_experiment(own: Known | None, named: Known | None, study: str) -> None:
    """Raise StoreError if the study's experiment lies in the bin.

    Args:
        own: the experiment that the study's runs are in; None for one that has none there.
        named: the one that a new study goes to.
        study: its name; nothing for one that has not begun.
    """
    if own is not None and not (is_deleted(own) and leaves(own)):
        named = own
    if named is not None and is_deleted(named):
        raise in_bin(named, study)


def leaves(own: Experiment | Known) -> bool:
    """Whether a study whose experiment was deleted has been told to go to another one."""
    return os.environ.get(CHOSEN, own.name) not in ("", own.name)


def in_bin(experiment: Experiment | Known, study: str) -> StoreError:
    """What to say of an experiment that was deleted."""
    restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
    also = f" or `harness sync {study} --restore`" if study else ""
    return StoreError(
        f"The MLflow experiment {experiment.name!r} was deleted and lies in MLflow's bin, so no run can be "
        f"written to it. Restore it with `{restore}`{also}, or name another experiment with {CHOSEN}=NAME."
    )
