"""A fresh SQLite store for MLflow or Optuna, made whole, once, or not at all.

Both create their tables one by one; a kill in between, or two processes at once, leaves a file that can
never be opened again, or fails one of the two.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from glob import escape
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from harness.errors import HarnessError
from harness.paths import (
    PRIVATE_FILE,
    cache,
    is_sqlite,
    make_folder,
    sqlite_file,
    sqlite_uri,
    temporary_beside,
    write_file,
)

LOCKED_SECONDS = 0.5
"""How long a check waits for a database that another process writes to."""

_WRITE_NOTHING = ("BEGIN IMMEDIATE", "PRAGMA user_version = 0", "ROLLBACK")
"""What only a database that can be written to allows; neither MLflow nor Optuna uses this number."""


def ensure_store(uri: str, create: Callable[[str], None]) -> None:
    """Create the file that an SQLite URI names, unless it is there already.

    Args:
        uri: of the store; anything but a plain SQLite file is left alone.
        create: makes the tables in the new file that it is given as a URI, and lets go of it.
    """
    file = sqlite_file(uri)
    if file is None or file.exists():
        return
    make_folder(file.parent)
    with FileLock(file.with_name(f".{file.name}.lock")):
        if file.exists():
            return
        for leftover in file.parent.glob(f".tmp-*-{escape(file.name)}*"):
            leftover.unlink(missing_ok=True)
        fresh = temporary_beside(file)
        create(sqlite_uri(fresh))
        with closing(sqlite3.connect(fresh)) as database:
            # Readers (the UI) and the writer do not wait for each other.
            database.execute("PRAGMA journal_mode=WAL")
        fresh.chmod(PRIVATE_FILE)
        fresh.replace(file)


def is_missing(uri: str) -> bool:
    """Whether a URI names an SQLite file that is not there yet."""
    file = sqlite_file(uri)
    return file is not None and not file.exists()


def check_writable(uri: str) -> None:
    """Raise what keeps an SQLite database from being written to; one that is only in use right now passes."""
    if not is_sqlite(uri):
        return
    file = sqlite_file(uri)
    if file is not None:
        _check_file_writable(file)
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, connect_args={"timeout": LOCKED_SECONDS})
    try:
        with engine.connect() as connection:
            for statement in _WRITE_NOTHING:
                connection.exec_driver_sql(statement)
    except sqlalchemy.exc.OperationalError as error:
        if "locked" not in str(error):
            raise
    finally:
        engine.dispose()


def _check_file_writable(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=LOCKED_SECONDS, isolation_level=None)) as database:
        try:
            for statement in _WRITE_NOTHING:
                database.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise


def create_mlflow_tables(uri: str) -> None:
    """For `ensure_store`: a copy of tables that were made before by this version of MLflow.

    MLflow makes a new store by all the migrations of its history, which takes seconds of processor time
    that a sweep's first trials would have to share.
    """
    made = cache() / f"mlflow-{metadata.version('mlflow')}.db"
    file = sqlite_file(uri)
    assert file is not None, "ensure_store gives plain files only"
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

    with tempfile.TemporaryDirectory() as folder:
        # MLflow cannot make a file whose path has to be quoted in a URI.
        made = Path(folder) / "mlflow.db"
        client = MlflowClient(tracking_uri=sqlite_uri(made))
        client.search_experiments(max_results=1)
        client._tracking_client.store.engine.dispose()
        with closing(sqlite3.connect(made)) as database:
            # The default experiment knows the folder it was made in; MLflow makes another when there is none.
            database.execute("DELETE FROM experiments")
            database.commit()
        shutil.copyfile(made, file)
