"""A client of an MLflow store, quiet and without retries of its own, and the searches that need pages."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, TypeVar

from harness.tracking.address import check_mlflow_address
from harness.tracking.schema import check_mlflow_schema
from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Experiment, LoggedModel, Run

T = TypeVar("T")
PAGE = 1000
EXPERIMENTS_AT_ONCE = 500

SETTINGS = {
    # MLflow's own retries block for minutes; a background tracker has better ones.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Standard output is for data.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Environment variables that MLflow reads, where the user has not set them."""


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`; a store that is an SQLite file is created if it is not there.

    Raises:
        StoreError: the store cannot work, whatever one waits for.
        Exception: whatever MLflow and the libraries beneath it raise, see `harness.tracking.store_errors`.
    """
    check_mlflow_address(uri)
    quiet()
    if not uri.startswith("http"):
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = 1  # these retries block for minutes, too
    ensure_store(uri, create_mlflow_tables)
    check_mlflow_schema(uri)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def quiet() -> None:
    """Have MLflow neither wait nor print: what fails is told in a sentence, and migrations are no news."""
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def experiment_with(client: MlflowClient, experiment_id: str) -> Experiment | None:
    """The experiment with this id, deleted or not; None if there is none."""
    return known(client.get_experiment, experiment_id)


def run_with(client: MlflowClient, run_id: str) -> Run | None:
    """The run with this id, deleted or not; None if there is none."""
    return known(client.get_run, run_id)


def known(get: Callable[[str], T], key: str) -> T | None:
    """What MLflow has by this key; None if it knows of nothing."""
    from mlflow.exceptions import MlflowException

    try:
        return get(key)
    except MlflowException as error:
        # An id of another store may not even have the form of this one's.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def every_experiment(client: MlflowClient) -> list[str]:
    """The ids of all experiments, deleted ones too."""
    from mlflow.entities import ViewType

    found: list[str] = []
    token: str | None = None
    while True:
        page = client.search_experiments(ViewType.ALL, max_results=PAGE, page_token=token)
        found += [experiment.experiment_id for experiment in page]
        token = page.token
        if not token:
            return found


def search_runs(
    client: MlflowClient, experiment_ids: Sequence[str], filter_string: str, *, deleted: bool = False
) -> list[Run]:
    """Every run that the filter matches; with `deleted` also those in the bin."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    runs: list[Run] = []
    for start in range(0, len(experiment_ids), EXPERIMENTS_AT_ONCE):
        among = list(experiment_ids[start : start + EXPERIMENTS_AT_ONCE])
        token: str | None = None
        while True:
            page = client.search_runs(among, filter_string, view, PAGE, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
    return runs


def search_models(client: MlflowClient, experiment_id: str, filter_string: str) -> list[LoggedModel]:
    """Every model that the filter matches, whatever its state; deleted ones cannot be found."""
    models: list[LoggedModel] = []
    token: str | None = None
    while True:
        page = client.search_logged_models([experiment_id], filter_string, page_token=token)
        models += page
        token = page.token
        if not token:
            return models
