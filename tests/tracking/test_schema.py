"""Databases of other versions are told, with the command that upgrades them, and looking changes nothing."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db import utils as mlflow_tables_of
from optuna.storages import RDBStorage

from harness.errors import StoreError
from harness.tracking.mlflow_client import connect
from harness.tracking.optuna_storage import open_storage
from harness.tracking.schema import (
    _mlflow_revisions,
    _optuna_revisions,
    check_mlflow_schema,
    check_optuna_schema,
    revision,
)
from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store
from tests.conftest import keep_tables

pytestmark = pytest.mark.slow


def older_mlflow(file: str, revision_id: str) -> None:
    """The tables as an earlier version of MLflow made them, by its own migrations."""
    engine = sqlalchemy.create_engine(f"sqlite:///{file}")
    mlflow_tables_of.InitialBase.metadata.create_all(engine)
    config = mlflow_tables_of._get_alembic_config(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision_id)
    engine.dispose()


def set_revision(file: str, value: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (value,))
        database.commit()


def typed(sentence: str) -> list[str]:
    """The command that a sentence ends with."""
    return shlex.split(sentence.rpartition(": ")[2])


def run(arguments: list[str]) -> None:
    """Type it."""
    command_line = [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]]
    subprocess.run(command_line, check=True, timeout=120, capture_output=True)


def test_an_older_mlflow_database_is_told_and_left_alone() -> None:
    older_mlflow("old.db", "f5a4f2784254")
    before = Path("old.db").read_bytes()
    for look in (check_mlflow_schema, connect):
        with pytest.raises(StoreError, match="made by an older version of mlflow") as told:
            look("sqlite:///old.db")
    assert Path("old.db").read_bytes() == before
    arguments = typed(str(told.value))
    assert arguments == ["mlflow", "db", "upgrade", "sqlite:///old.db"]
    run(arguments)
    assert connect("sqlite:///old.db").search_experiments() is not None


def test_an_older_optuna_database_is_told_and_left_alone() -> None:
    RDBStorage("sqlite:///old.db").engine.dispose()
    set_revision("old.db", "v3.0.0.d")
    before = Path("old.db").read_bytes()
    for look in (check_optuna_schema, open_storage):
        with pytest.raises(StoreError, match="made by an older version of optuna") as told:
            look("sqlite:///old.db")
    assert Path("old.db").read_bytes() == before
    arguments = typed(str(told.value))
    assert arguments == ["optuna", "storage", "upgrade", "--storage", "sqlite:///old.db"]
    run(arguments)
    open_storage("sqlite:///old.db").engine.dispose()


def test_a_newer_database_is_told(mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)
    ensure_store("sqlite:///mlflow.db", create_mlflow_tables)
    RDBStorage("sqlite:///optuna.db").engine.dispose()
    set_revision("mlflow.db", "ffffffffffff")
    set_revision("optuna.db", "v9.0.0.a")
    with pytest.raises(StoreError, match=r"newer version of mlflow.*pip install -U mlflow"):
        connect("sqlite:///mlflow.db")
    with pytest.raises(StoreError, match=r"newer version of optuna.*pip install -U optuna"):
        open_storage("sqlite:///optuna.db")


def test_the_database_of_the_other_is_not_touched(mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)
    ensure_store("sqlite:///mlflow.db", create_mlflow_tables)
    RDBStorage("sqlite:///optuna.db").engine.dispose()
    before = Path("mlflow.db").read_bytes(), Path("optuna.db").read_bytes()
    with pytest.raises(StoreError, match="a database of MLflow's"):
        open_storage("sqlite:///mlflow.db")
    with pytest.raises(StoreError, match="a database of Optuna's"):
        connect("sqlite:///optuna.db")
    assert (Path("mlflow.db").read_bytes(), Path("optuna.db").read_bytes()) == before


def test_a_password_is_not_part_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "sqlite:///file:old.db?uri=true&password=s3cret"
    older_mlflow("old.db", "f5a4f2784254")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError) as told:
        check_mlflow_schema(uri)
    assert 'mlflow db upgrade "$MLFLOW_TRACKING_URI"' in str(told.value)
    assert "s3cret" not in str(told.value)


def test_versions_are_those_that_the_packages_know() -> None:
    config = mlflow_tables_of._get_alembic_config("")
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert list(_mlflow_revisions()) == known
    assert known[0] == mlflow_tables_of._get_latest_schema_revision()
    storage = RDBStorage("sqlite:///:memory:")
    assert list(_optuna_revisions()) == storage.get_all_versions()
    assert _optuna_revisions()[0] == storage.get_head_version()
    storage.engine.dispose()


def test_this_very_version_passes(mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)
    ensure_store("sqlite:///mlflow.db", create_mlflow_tables)
    check_mlflow_schema("sqlite:///mlflow.db")
    check_mlflow_schema("sqlite:///none.db")
    check_optuna_schema("sqlite:///none.db")
    assert not Path("none.db").exists()
    assert revision("sqlite:///none.db") is None
