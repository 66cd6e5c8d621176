"""A fresh SQLite store for MLflow or Optuna, made whole, once, or not at all.

Both create their tables one by one; a kill in between, or two processes at once, leaves a file that can
never be opened again, or fails one of the two.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from harness.errors import HarnessError
from harness.paths import PRIVATE_FILE, cache, make_folder, temporary_beside, write_file

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
    """For `ensure_store`: a copy of tables that were made before by this version of MLflow.

    MLflow makes a new store by all the migrations of its history, which takes seconds of processor time
    that a sweep's first trials would have to share.
    """
    made = cache() / f"mlflow-{metadata.version('mlflow')}.db"
    file = Path(uri.removeprefix(_PREFIX))
    try:
        if not made.exists():
            make_folder(made.parent)
            write_file(made, _migrate)
        shutil.copyfile(made, file)
        with closing(sqlite3.connect(file)) as database:
            whole = database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    except (OSError, HarnessError, sqlite3.DatabaseError):
        whole = False
    if not whole:  # the cache cannot be written to, or was damaged
        made.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        _migrate(file)


def _migrate(file: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"{_PREFIX}{file}")
    client.search_experiments(max_results=1)
    client._tracking_client.store.engine.dispose()
    with closing(sqlite3.connect(file)) as database:
        # The default experiment knows the folder it was made in; MLflow makes another when there is none.
        database.execute("DELETE FROM experiments")
        database.commit()
