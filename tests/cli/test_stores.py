"""`verify`, `sync` and `export --run` say in a sentence what is wrong with a store; runs are found by ids."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.paths import StudyPaths, tracking_uri
from harness.study.event_log import EventLog
from harness.tracking.sync import sync_study
from tests.conftest import keep_tables
from tests.tracking.subjects import delete_run, run_of
from tests.tracking.test_mlflow_tracker import events

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Type a command; its exit status, and what it says."""

    def typed(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "s3cret" not in said.out + said.err
        return int(ended.value.code or 0), said.out + said.err

    return typed


def made(name: str, study_id: str) -> StudyPaths:
    """A drawn study of two of its trials' worth of events; its model does not load."""
    paths = StudyPaths.of(name)
    paths.folder.mkdir(parents=True)
    (paths.folder / "model.keras").write_bytes(b"weights")
    log = EventLog(paths.log)
    for event in events(paths.folder / "model.keras"):
        log.append(replace(event, study_id=study_id) if event.kind == "study_started" else event)
    log.close()
    return paths


@pytest.fixture(autouse=True)
def tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


@pytest.mark.parametrize(
    ("uri", "code", "said"),
    [
        ("http://ann:s3cret@127.0.0.1:9", 4, "the connection is refused"),
        ("file:runs", 1, "MLFLOW_ALLOW_FILE_STORE=true"),
        ("foo://ann:s3cret@x", 1, "no store of the kind 'foo'"),
        ("postgresql+psycopg2://ann:s3cret@db/x", 1, "psycopg2"),
        ("sqlite:///text.db", 4, "not a database"),
    ],
)
def test_a_store_that_cannot_be_opened(
    uri: str, code: int, said: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("s", "a" * 32)
    Path("text.db").write_text("text\n" * 500)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for arguments in (["verify", "s"], ["sync", "s"], ["export", "--run", "0123"]):
        found, text = command(*arguments)
        assert found == code, text
        assert said in text
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    if not uri.startswith(("http", "file")):
        monkeypatch.setenv("HARNESS_STORAGE", uri)
        for arguments in (["verify", "s"], ["sync", "s"]):
            found, text = command(*arguments)
            assert found == code, text
            assert "HARNESS_STORAGE" in text or "Optuna's storage" in text


def test_one_store_that_is_away_does_not_keep_the_other_from_being_written(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("s", "a" * 32)
    Path("text.db").write_text("text\n" * 500)
    monkeypatch.setenv("HARNESS_STORAGE", "sqlite:///text.db")
    code, text = command("sync", "s")
    assert code == 4
    assert "Optuna's storage cannot be used" in text
    assert run_of(0).info.status == "FINISHED"


def test_sync_names_what_it_leaves_out_and_restores_it_when_told(command: Command) -> None:
    sync_study(made("s", "a" * 32))
    delete_run(1)
    assert command("sync", "s") == (
        0,
        "MLflow: the run of trial 1 was deleted there and is left out; `harness sync s --restore` makes it "
        "again.\n"
        "s: Optuna's storage and MLflow have all 17 records.\n",
    )
    _, text = command("verify", "s")
    assert "note: the run of trial 1 was deleted in MLflow" in text
    assert "MLflow lacks: loss" not in text
    assert command("sync", "s", "--restore")[0] == 0
    assert command("sync", "s") == (0, "s: Optuna's storage and MLflow have all 17 records.\n")


def test_a_study_that_never_began(command: Command) -> None:
    paths = StudyPaths.of("s")
    paths.folder.mkdir(parents=True)
    paths.log.write_text("")
    for name in ("sync", "verify"):
        code, text = command(name, "s")
        assert code == 1
        assert "never began" in text


def test_a_run_is_exported_from_the_study_that_it_belongs_to(command: Command) -> None:
    """By ids: a study of the same name is another one, and a folder may be renamed."""
    paths = made("pets-1", "a" * 32)
    sync_study(paths)
    run = run_of(0).info.run_id
    renamed = StudyPaths.of("renamed")
    paths.folder.rename(renamed.folder)
    other = made("pets-1", "b" * 32)
    code, text = command("export", "--run", run, "--formats", "keras")
    assert code == 1
    assert "exporting trial 0 of renamed" in text
    assert str(renamed.folder / "reference.npz") in text
    assert str(other.folder) not in text

    renamed.folder.rename(Path("gone"))
    code, text = command("export", "--run", run, "--formats", "keras")
    assert code == 1
    assert f"shows trial 0 of the study 'pets-1' with the id {'a' * 32}" in text
    assert "The study of that name here is another one" in text
    assert "mlflow artifacts download -u models:/m-" in text
    assert "exporting" not in text


def test_a_model_that_mlflow_has_otherwise_is_not_exported(command: Command) -> None:
    paths = made("s", "a" * 32)
    sync_study(paths)
    run = run_of(0).info.run_id
    lines = paths.log.read_text().splitlines(keepends=True)
    paths.log.unlink()
    log = EventLog(paths.log)
    for event in events(paths.folder / "model.keras"):
        event = replace(event, study_id="a" * 32) if event.kind == "study_started" else event  # noqa: PLW2901
        log.append(replace(event, sha256="6" * 64) if event.kind == "model_saved" else event)
    log.close()
    assert len(lines) == 17
    code, text = command("export", "--run", run, "--formats", "keras")
    assert code == 1
    assert "harness sync s" in text
    assert "exporting" not in text


def test_ids_that_are_no_run(command: Command) -> None:
    sync_study(made("s", "a" * 32))
    assert "no run '0123'" in command("export", "--run", "0123")[1]
    assert "not a trial" in command("export", "--run", run_of(None).info.run_id)[1]
    Path(tracking_uri().removeprefix("sqlite:///")).rename("elsewhere.db")
    code, text = command("export", "--run", "0" * 32)
    assert code == 1
    assert "no run" in text
