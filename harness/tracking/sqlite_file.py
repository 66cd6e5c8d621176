"""A fresh SQLite store for MLflow, made whole or not at all.

MLflow creates its tables one by one; a kill in between leaves a file that it can never open again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from harness.paths import make_folder, temporary_beside

_PREFIX = "sqlite:///"


def ensure_store(uri: str) -> None:
    """Create the file that a `sqlite:///` URI names, with its tables, unless it is there already."""
    if not uri.startswith(_PREFIX):
        return
    file = Path(uri.removeprefix(_PREFIX))
    if file.exists():
        return
    make_folder(file.parent)
    with FileLock(file.with_name(f".{file.name}.lock")):
        if file.exists():
            return
        for leftover in file.parent.glob(f".tmp-*-{file.name}*"):
            leftover.unlink(missing_ok=True)
        fresh = temporary_beside(file)
        _create(fresh)
        with closing(sqlite3.connect(fresh)) as database:
            # Readers (the UI) and the writer do not wait for each other.
            database.execute("PRAGMA journal_mode=WAL")
        fresh.replace(file)


def _create(file: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"{_PREFIX}{file}")
    client.search_experiments(max_results=1)
    client._tracking_client.store.engine.dispose()
