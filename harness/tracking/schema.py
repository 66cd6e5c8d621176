"""Whether a database has the tables of this very version of MLflow or Optuna, found out without changing it.

Both keep a row `alembic_version`. MLflow would migrate an older database as soon as it opens it, whoever else
works on it; Optuna would first add its own tables to a database of MLflow's.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from harness.errors import StoreError
from harness.paths import sqlite_file
from harness.tracking.address import is_database
from harness.tracking.postgres import connect_args, with_driver
from harness.tracking.stores import Store, mlflow_store, optuna_store

BUSY_SECONDS = 20.0
_REVISION = re.compile(r"""^(revision|down_revision)\b[^=]*= *["']([^"']+)["']""", re.MULTILINE)
_QUERY = "SELECT version_num FROM alembic_version"


def check_mlflow_schema(uri: str) -> None:
    """Raise StoreError if a database has tables that this MLflow cannot use as they are."""
    store = mlflow_store(uri)
    found = revision(uri) if is_database(uri) else None
    if found is None or found == _mlflow_revisions()[0]:
        return
    if found.startswith("v"):
        raise StoreError(_of_the_other(store, "Optuna"))
    if found in _mlflow_revisions():
        raise StoreError(
            f"{_has_schema(store, 'an older')} Make a copy of it, then upgrade it while nothing else writes "
            f"to it: mlflow db upgrade {store.typed}"
        )
    raise StoreError(_newer(store))


def check_optuna_schema(url: str) -> None:
    """Raise StoreError if a database has tables that this Optuna cannot use as they are."""
    store = optuna_store(url)
    found = revision(url)
    if found is None or found == _optuna_revisions()[0]:
        return
    if not found.startswith("v"):
        raise StoreError(_of_the_other(store, "MLflow"))
    if found in _optuna_revisions():
        raise StoreError(
            f"{_has_schema(store, 'an older')} Make a copy of it, then upgrade it: "
            f"optuna storage upgrade --storage {store.typed}"
        )
    raise StoreError(_newer(store))


def _has_schema(store: Store, which: str) -> str:
    return (
        f"{store.shown} was made by {which} version of {store.package} than {_version(store)}, which is here."
    )


def _newer(store: Store) -> str:
    return (
        f"{_has_schema(store, 'a newer')} Update it (pip install -U {store.package}), or name another store "
        f"in {store.setting}."
    )


def _of_the_other(store: Store, owner: str) -> str:
    return (
        f"{store.shown} is a database of {owner}'s, and MLflow and Optuna cannot share one. Name another in "
        f"{store.setting}."
    )


def _version(store: Store) -> str:
    return metadata.version(store.package)


def revision(uri: str) -> str | None:
    """What a database says of its tables; None if there is no such file or no such table."""
    file = sqlite_file(uri)
    if file is None:
        return _revision_by_sqlalchemy(uri)
    if not file.exists():
        return None
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as database:
        named = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = database.execute(_QUERY).fetchone() if named else None
    return row[0] if row else None


def _revision_by_sqlalchemy(uri: str) -> str | None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(with_driver(uri), connect_args=connect_args(uri))
    try:
        if not sqlalchemy.inspect(engine).has_table("alembic_version"):
            return None
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text(_QUERY)).scalar()
            return None if found is None else str(found)
    finally:
        engine.dispose()


@cache
def _revisions(package: str, *folder: str) -> tuple[str, ...]:
    """All versions of a package's tables, the present one first, read off its migrations, unimported."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is installed"
    assert spec.origin is not None, f"{package} is a package of files"
    before: dict[str, str | None] = {}
    for file in Path(spec.origin).parent.joinpath(*folder, "versions").glob("*.py"):
        values = dict(_REVISION.findall(file.read_text(encoding="utf-8")))
        if "revision" in values:
            before[values["revision"]] = values.get("down_revision")
    (newest,) = before.keys() - before.values()
    found = [newest]
    while (earlier := before[found[-1]]) is not None:
        found.append(earlier)
    return tuple(found)


def _mlflow_revisions() -> tuple[str, ...]:
    return _revisions("mlflow", "store", "db_migrations")


def _optuna_revisions() -> tuple[str, ...]:
    return _revisions("optuna", "storages", "_rdb", "alembic")
