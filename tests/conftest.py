"""Every test works in a folder and stores of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store


@pytest.fixture(autouse=True)
def own_workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("HARNESS_HOME", "HARNESS_STORAGE", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables as harness keeps them in its cache: making them anew takes seconds."""
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(folder))
        ensure_store(f"sqlite:///{folder}/mlflow.db", create_mlflow_tables)
    (made,) = folder.glob("mlflow-*.db")
    return made


def keep_tables(made: Path) -> None:
    """Put them into this test's cache."""
    folder = Path(os.environ["HARNESS_CACHE"])
    folder.mkdir(exist_ok=True)
    shutil.copy(made, folder)
