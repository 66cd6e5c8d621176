"""Databases are there whole, once, or not at all, whoever makes them and whenever that is killed."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.paths import cache
from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store

pytestmark = pytest.mark.slow

SCRIPT = (
    "import sys, mlflow\n"
    "from harness.tracking.sqlite_file import create_mlflow_tables, ensure_store\n"
    "print('now', flush=True)\n"
    "ensure_store(sys.argv[1], create_mlflow_tables)\n"
)


@pytest.mark.parametrize("seconds", [0.2, 0.6])
def test_a_kill_while_tables_are_made_leaves_no_broken_file(tmp_path: Path, seconds: float) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    running = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, uri], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(seconds)
    running.kill()
    running.wait()
    running.stdout.close()
    ensure_store(uri, create_mlflow_tables)
    assert MlflowClient(uri).search_experiments()
    assert not list(tmp_path.glob(".tmp-*"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "mlflow.db").stat().st_mode & 0o777 == 0o600


def test_a_store_made_from_the_cache_is_like_one_that_mlflow_makes(tmp_path: Path) -> None:
    def schema(file: str) -> list[tuple[str, list[str]]]:
        """What each table and index is made of; MLflow lists allowed values in no particular order."""
        with closing(sqlite3.connect(tmp_path / file)) as database:
            made = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            return sorted((name, sorted(re.findall(r"\w+", sql))) for name, sql in made)

    for file in ("first.db", "second.db"):
        ensure_store(f"sqlite:///{tmp_path / file}", create_mlflow_tables)
        assert [one.name for one in MlflowClient(f"sqlite:///{tmp_path / file}").search_experiments()] == [
            "Default"
        ]
    assert MlflowClient(f"sqlite:///{tmp_path / 'own.db'}").search_experiments()
    assert schema("first.db") == schema("second.db") == schema("own.db")


def test_damage_in_the_cache_does_no_harm(tmp_path: Path) -> None:
    ensure_store(f"sqlite:///{tmp_path / 'first.db'}", create_mlflow_tables)
    (made,) = cache().glob("mlflow-*.db")
    content = bytearray(made.read_bytes())
    content[4096 : 4096 + 2048] = bytes(2048)
    made.write_bytes(content)
    ensure_store(f"sqlite:///{tmp_path / 'second.db'}", create_mlflow_tables)
    assert MlflowClient(f"sqlite:///{tmp_path / 'second.db'}").search_experiments()
    assert not made.exists()


def test_four_processes_at_once_make_optunas_tables_once(tmp_path: Path) -> None:
    """Without a lock about one in twelve fails on a table or a version that another has just made."""
    script = (
        "import sys\n"
        "from harness.tracking.optuna_storage import open_storage\n"
        "sys.stdin.readline()\n"
        "open_storage(sys.argv[1])\n"
    )
    for attempt in range(3):
        command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/optuna-{attempt}.db"]
        running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in running:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
