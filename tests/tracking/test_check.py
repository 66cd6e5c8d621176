"""A store that can never work ends a sweep before it trains; one that is away, or slow, holds nothing up."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.paths import StudyPaths
from harness.tracking import check as module
from harness.tracking.check import StoreCheck
from harness.tracking.cursor import Cursor, cursor_text
from harness.tracking.mlflow_client import connect
from harness.tracking.tracker import TrackedStudy, TrackerKind
from harness.tracking.trackers import TRACKERS
from tests.conftest import keep_tables


def kind(check: Callable[[], Any]) -> TrackerKind:
    return TrackerKind(make=lambda _: pytest.fail("nothing is made"), check=lambda _: check())


def fail(error: Exception) -> Callable[[], Any]:
    def check() -> None:
        raise error

    return check


def study(said: list[str]) -> TrackedStudy:
    return TrackedStudy(StudyPaths(Path.cwd() / "study"), "pets", note=said.append)


def test_what_can_never_work_is_raised_and_what_is_away_is_noted() -> None:
    said: list[str] = []
    away = kind(fail(ConnectionError("connection refused")))
    StoreCheck(study(said), {"one": kind(lambda: None), "the other": away}).finish()
    assert said == [
        "the other cannot be reached: the connection is refused. The sweep goes on; what is missing is "
        "written as soon as that is possible."
    ]
    with pytest.raises(StoreError, match="as it is"):
        broken = kind(fail(StoreError("It cannot work as it is.")))
        StoreCheck(study(said), {"the other": away, "one": broken}).finish()
    assert len(said) == 1


def test_a_store_that_takes_its_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.1)
    said: list[str] = []
    answers = threading.Event()
    StoreCheck(study(said), {"slow": kind(answers.wait)}).finish()
    assert not said
    answers.set()


@pytest.mark.slow
def test_looking_makes_no_store(mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)
    said: list[str] = []
    StoreCheck(study(said), TRACKERS).finish()
    assert not said
    assert not list(Path.cwd().iterdir())


@pytest.mark.slow
def test_a_shared_database_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STORAGE", "sqlite:///mlflow.db")
    with pytest.raises(StoreError, match="name the same database"):
        StoreCheck(study([]), TRACKERS).finish()
    assert not list(Path.cwd().iterdir())


@pytest.mark.slow
def test_an_experiment_in_the_bin_is_refused(mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_tables(mlflow_tables)
    client = connect(f"sqlite:///{Path.cwd()}/mlflow.db")
    own = client.create_experiment("pets")
    StoreCheck(study([]), TRACKERS).finish()
    client.delete_experiment(own)
    with pytest.raises(StoreError, match=f"mlflow experiments restore --experiment-id {own}"):
        StoreCheck(study([]), TRACKERS).finish()
    other = TrackedStudy(StudyPaths(Path.cwd() / "study"), "other")
    StoreCheck(other, TRACKERS).finish()
    client.restore_experiment(own)
    StoreCheck(study([]), TRACKERS).finish()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["sqlite:///{}", "sqlite:///file:{}?uri=true"], ids=["file", "by MLflow"])
def test_a_study_is_looked_for_by_its_runs_id(
    scheme: str, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its experiment may have been renamed; and another store may have another experiment of the same id."""
    keep_tables(mlflow_tables)
    client = connect(f"sqlite:///{Path.cwd()}/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", scheme.format(f"{Path.cwd()}/mlflow.db"))
    own = client.create_experiment("pets")
    run = client.create_run(own).info.run_id
    client.rename_experiment(own, "animals")
    client.delete_experiment(own)
    paths = StudyPaths(Path.cwd() / "study")
    paths.folder.mkdir()
    paths.log.write_text("")
    paths.tracking_cursor.write_text(cursor_text(Cursor(seq=9, experiment=own, run=run)))
    with pytest.raises(StoreError, match=r"'animals' was deleted.*`harness sync study --restore`"):
        StoreCheck(study([]), TRACKERS).finish()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    StoreCheck(TrackedStudy(paths, "elsewhere"), TRACKERS).finish()
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    paths.tracking_cursor.write_text(cursor_text(Cursor(seq=9, experiment=own, run="0" * 32)))
    StoreCheck(study([]), TRACKERS).finish()


ASKED = """
import os, sys
from harness.sweeping import session

def ask(study):
    spec = sys.modules["optuna"].__spec__ if "optuna" in sys.modules else None
    print("imported" if spec and not spec._initializing else "not imported", flush=True)
    os._exit(0)

session.StoreCheck = ask
from harness.cli import main
main()
"""


def test_optuna_is_imported_before_threads_import_parts_of_it() -> None:
    """Else one of two imports at the same time may find half a package, whichever thread it is in."""
    command = [sys.executable, "-c", ASKED, "sweep", "quickstart", "--trials", "1", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "imported\n"
