"""The two stores that trackers write to: where each is, and which setting says so."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from harness.paths import optuna_storage, tracking_uri
from harness.tracking.redaction import without_secrets

MLFLOW = "MLflow"
OPTUNA = "Optuna's storage"


@dataclass(frozen=True, slots=True)
class Store:
    """Where a store is, as far as sentences about it need to know."""

    name: str
    setting: str
    """The environment variable that names another one."""
    address: str
    package: str
    """What to install in another version if the store is of one."""

    @property
    def shown(self) -> str:
        """The address without what is secret."""
        return without_secrets(self.address, self.address)

    @property
    def typed(self) -> str:
        """The address as it can be typed in a shell, without showing what is secret."""
        if os.environ.get(self.setting) == self.address:
            return f'"${self.setting}"'
        return shlex.quote(self.address)


def mlflow_store(uri: str | None = None) -> Store:
    """MLflow's store, by default the one that is configured."""
    return Store(MLFLOW, "MLFLOW_TRACKING_URI", uri or tracking_uri(), "mlflow")


def optuna_store(url: str | None = None) -> Store:
    """Optuna's storage, by default the one that is configured."""
    return Store(OPTUNA, "HARNESS_STORAGE", url or optuna_storage(), "optuna")
