"""Every test works in a folder and stores of its own.

Tests run in two processes side by side (pytest-xdist). What is dear and is only read or copied is made once
for both, by `made_once`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store
from tests.postgres_server import REQUIRED, PostgresServer, programs, running_server

# How long an example takes says more of the machine's load than of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that two processes that share the files end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in (
        "HARNESS_HOME",
        "HARNESS_STORAGE",
        "HARNESS_STUDY_FILES",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_EXPERIMENT_NAME",
        "PGPASSWORD",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that all processes of this test run share: the first that asks for it fills it.

    Args:
        factory: pytest's, whose folder for the run it lies in.
        name: of the folder.
        make: fills the new, empty folder that it is given.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "made-once" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        whole = folder.with_name(f"{name}.whole")
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables as harness keeps them in its cache: making them anew takes seconds."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HARNESS_CACHE", str(folder))
            ensure_store(f"sqlite:///{folder}/mlflow.db", create_mlflow_tables)

    (made,) = made_once(tmp_path_factory, "tables", make).glob("mlflow-*.db")
    return made


def keep_tables(made: Path) -> None:
    """Put them into this test's cache."""
    folder = Path(os.environ["HARNESS_CACHE"])
    folder.mkdir(exist_ok=True)
    shutil.copy(made, folder)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process."""
    installed = programs()
    if installed is None:
        missing = "PostgreSQL is not installed (Debian's package: postgresql)"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    with running_server(installed) as server:
        yield server


@pytest.fixture
def postgres(postgres_cluster: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which runs again at the end if a test has stopped it."""
    yield postgres_cluster
    if not postgres_cluster.is_running:
        postgres_cluster.start()
