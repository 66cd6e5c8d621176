"""A small study of digits, trained once, of which every test has a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import harness
from harness.paths import StudyPaths
from tests.conftest import keep_tables, made_once

SETTINGS = {
    "dataset.limit_train": 200,
    "training.precision": "float32",
    "scheduler.kind": "none",
    "space": {"family": "cnn", "depth": 1, "width": [4, 6, 8], "optimizer": "adam", "learning_rate": 0.003},
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path) -> Path:
    """A folder with the home of the study `s`, three complete trials, and the prepared data in `cache`."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("HARNESS_CACHE", str(folder / "cache"))
            keep_tables(mlflow_tables)
            experiment = harness.load("quickstart", trials=3, epochs=3, set=SETTINGS)
            harness.sweep(experiment, name="s", workers=1)

    return made_once(tmp_path_factory, "trained", make)


@pytest.fixture
def study(trained: Path, own_workplace: Path, mlflow_tables: Path) -> StudyPaths:
    """A copy of it in this test's folder; MLflow and Optuna have not heard of it."""
    shutil.copytree(trained / ".harness" / "studies", own_workplace / ".harness" / "studies")
    keep_tables(mlflow_tables)
    return StudyPaths.of("s")
