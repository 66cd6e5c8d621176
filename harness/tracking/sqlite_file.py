"""A fresh SQLite store for MLflow or Optuna, made whole, once, or not at all.

Both create their tables one by one; a kill in between, or two processes at once, leaves a file that can
never be opened again, or fails one of the two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from harness.paths import PRIVATE_FILE, make_folder, temporary_beside

_PREFIX = "sqlite:///"


def ensure_store(uri: str, create: Callable[[str], None]) -> None:
    """Create the file that a `sqlite:///` URI names, unless it is there already.

    Args:
        uri: of the store; anything but a plain SQLite file is left alone.
        create: makes the tables in the new file that it is given as a URI, and lets go of it.
    """
    name = uri.removeprefix(_PREFIX)
    if not uri.startswith(_PREFIX) or "?" in name:
        return
    file = Path(name)
    if file.exists():
        return
    make_folder(file.parent)
    with FileLock(file.with_name(f".{file.name}.lock")):
        if file.exists():
            return
        for leftover in file.parent.glob(f".tmp-*-{file.name}*"):
            leftover.unlink(missing_ok=True)
        fresh = temporary_beside(file)
        create(f"{_PREFIX}{fresh}")
        with closing(sqlite3.connect(fresh)) as database:
            # Readers (the UI) and the writer do not wait for each other.
            database.execute("PRAGMA journal_mode=WAL")
        fresh.chmod(PRIVATE_FILE)
        fresh.replace(file)


def create_mlflow_tables(uri: str) -> None:
    """For `ensure_store`."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)
    client._tracking_client.store.engine.dispose()
