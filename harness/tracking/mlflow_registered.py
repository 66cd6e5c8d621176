"""From a model's address in MLflow, such as `models:/pets@champion`, to its version and to the run of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.errors import StudyError, UsageError
from harness.tracking.address import check_mlflow_address
from harness.tracking.mlflow_client import connect, known
from harness.tracking.mlflow_registry import Registry
from harness.tracking.registered import Version
from harness.tracking.sqlite_file import is_missing
from harness.tracking.store_errors import explain
from harness.tracking.stores import MLFLOW

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEME = "models:/"
_ADDRESS = re.compile(rf"{SCHEME}(?:(?P<id>m-\w+)|(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+)))")


def run_of_model(uri: str, address: str) -> str:
    """The id of the run that has made a model.

    Args:
        uri: of the MLflow store.
        address: `models:/NAME@ALIAS`, `models:/NAME/VERSION` or, of a model that is not registered,
            `models:/m-ID`.

    Raises:
        UsageError: the address is of another form.
        StudyError: there is no such model, or no run has made it.
        StoreError: the store cannot work as it is set up.
        UnreachableError: it is away.
    """
    parts = _parts(address)
    try:
        check_mlflow_address(uri)
        run = "" if is_missing(uri) else _run(connect(uri), parts)
    except Exception as error:
        raise explain(error, MLFLOW) from error
    if not run:
        raise StudyError(f"MLflow has no model {address} that a run has made; its store is {uri}.")
    return run


def version_at(uri: str, address: str) -> Version | None:
    """The version of a registered model; None if there is none, or the address is that of another model.

    Args:
        uri: of the MLflow store.
        address: as `run_of_model` takes it.

    Raises:
        UsageError: the address is of another form.
        StoreError: the store cannot work as it is set up.
        UnreachableError: it is away.
    """
    parts = _parts(address)
    if parts["id"] is not None or is_missing(uri):
        return None
    registry = Registry(uri)
    if parts["alias"]:
        return registry.with_alias(parts["name"], parts["alias"])
    return registry.version(parts["name"], int(parts["version"]))


def _parts(address: str) -> re.Match[str]:
    """What an address names; raises UsageError."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise UsageError(
            f"{address} is not the address of a model in MLflow: write {SCHEME}NAME@ALIAS, "
            f"{SCHEME}NAME/VERSION or {SCHEME}m-ID."
        )
    return parts


def _run(client: MlflowClient, parts: re.Match[str]) -> str:
    """The run's id; empty if there is no such model, or no run has made it."""
    model_id = parts["id"]
    if model_id is None:
        name = parts["name"]
        version = known(
            (lambda alias: client.get_model_version_by_alias(name, alias))
            if parts["alias"]
            else (lambda number: client.get_model_version(name, number)),
            parts["alias"] or parts["version"],
        )
        if version is None or version.run_id:
            return version.run_id if version else ""
        model_id = version.model_id
    model = known(client.get_logged_model, model_id) if model_id else None
    return (model.source_run_id or "") if model else ""
