"""MLflow's database is there whole or not at all, however often its making is killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.tracking.sqlite_file import ensure_store

pytestmark = pytest.mark.slow

SCRIPT = (
    "import sys, mlflow\n"
    "from harness.tracking.sqlite_file import ensure_store\n"
    "print('now', flush=True)\n"
    "ensure_store(sys.argv[1])\n"
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
    ensure_store(uri)
    assert MlflowClient(uri).search_experiments()
    assert not list(tmp_path.glob(".tmp-*"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
