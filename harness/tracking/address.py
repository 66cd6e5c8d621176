"""Whether a store's address can work at all: told before anybody waits for what is behind it."""

from __future__ import annotations

import os
from importlib import metadata
from urllib.parse import urlsplit

from harness.errors import StoreError
from harness.paths import is_sqlite, sqlite_file
from harness.tracking.stores import Store, mlflow_store, optuna_store

SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Kinds of databases that both MLflow and Optuna know."""
DATABRICKS = ("databricks", "databricks-uc", "uc")
"""Addresses that MLflow takes without a scheme."""
EXAMPLES = "sqlite:///mlflow.db, http://server:5000 or postgresql+psycopg://user:password@server/name"


def check_mlflow_address(uri: str) -> None:
    """Raise StoreError if MLflow cannot keep anything at this address, whatever one waits for."""
    store = mlflow_store(uri)
    scheme = _scheme(uri)
    if is_folder(uri):
        if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
            raise StoreError(
                f"MLflow no longer keeps runs in a folder of files ({store.shown}). Name a database in "
                f"{store.setting}, such as sqlite:///mlflow.db (`mlflow migrate-filestore` carries old runs "
                "over), or set MLFLOW_ALLOW_FILE_STORE=true to go on with files."
            )
        return
    if scheme in SERVERS:
        if not _names_a_server(uri):
            raise StoreError(
                f"{store.setting} names no server: {store.shown}. Write it as http://server:5000."
            )
        return
    if scheme.split("+")[0] not in (*DATABASES, *DATABRICKS, *_plugins()):
        meant = " Did you mean postgresql+psycopg://?" if scheme == "postgres" else ""
        raise StoreError(
            f"MLflow knows no store of the kind {scheme!r} ({store.setting}={store.shown}).{meant} Name one "
            f"such as {EXAMPLES}."
        )
    if is_database(uri):
        _check_database(store)


def check_optuna_address(url: str) -> None:
    """Raise StoreError if Optuna cannot keep anything at this address, whatever one waits for."""
    store = optuna_store(url)
    if is_folder(url) or _scheme(url) in SERVERS:
        raise StoreError(
            f"{store.setting} is not the address of a database: {store.shown}. Write it as "
            "sqlite:///optuna.db or postgresql+psycopg://user:password@server/name."
        )
    _check_database(store)


def is_folder(uri: str) -> bool:
    """Whether MLflow keeps the runs at this address in a folder of files."""
    return _scheme(uri) in ("", "file")


def _names_a_server(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # not a number, or half an address of IPv6
        return False


def is_database(uri: str) -> bool:
    """Whether MLflow reaches the store at this address through SQLAlchemy, without a server of its own."""
    return _scheme(uri).split("+")[0] in DATABASES


def _scheme(uri: str) -> str:
    if uri in DATABRICKS:
        return "databricks"
    head, colon, _ = uri.partition(":")
    # One letter is a drive of Windows, and what stands before a colon in a path is no scheme.
    return head.lower() if colon and len(head) > 1 and "/" not in head and not uri.startswith(".") else ""


def _plugins() -> list[str]:
    return [entry.name for entry in metadata.entry_points(group="mlflow.tracking_store")]


def _check_database(store: Store) -> None:
    _, slashes, rest = store.address.partition("://")
    if not slashes:
        raise StoreError(
            f"{store.setting} cannot be read as an address: {store.shown}. Write it as {EXAMPLES}."
        )
    if is_sqlite(store.address):
        _check_sqlite(store, rest)
    elif rest.partition("?")[0].count("@") > 1:
        raise StoreError(
            f"{store.setting} has more than one '@': {store.shown}. Write those in the user name or password "
            "as %40 (and ':' as %3A, '/' as %2F, '%' as %25)."
        )


def _check_sqlite(store: Store, rest: str) -> None:
    if not rest.startswith("/") and rest.partition("?")[0]:
        raise StoreError(
            f"{store.setting} is not a path of an SQLite file: {store.shown}. Three slashes begin a path in "
            "this folder (sqlite:///mlflow.db), four one from the root (sqlite:////data/mlflow.db)."
        )
    file = sqlite_file(store.address)
    if file is None:
        return
    if file.is_dir():
        raise StoreError(
            f"{store.name} cannot use {file}, because it is a folder. Name a file in {store.setting}."
        )
    if file.exists():
        return
    beneath = next(parent for parent in file.absolute().parents if parent.exists())
    if not beneath.is_dir():
        raise StoreError(f"{store.name} cannot create {file}, because {beneath} is not a folder.")
    if not os.access(beneath, os.W_OK | os.X_OK):
        raise StoreError(
            f"{store.name} cannot create {file}, because the folder {beneath} cannot be written to. Check "
            f"its permissions, or name another file in {store.setting}."
        )


def same_database(one: str, other: str) -> bool:
    """Whether two addresses name the same SQLite file or the same database of a server."""
    files = [sqlite_file(address) for address in (one, other)]
    if files[0] is not None and files[1] is not None:
        return files[0].absolute() == files[1].absolute()
    if one.startswith(SERVERS) or other.startswith(SERVERS) or None not in files:
        return False
    return _place(one) == _place(other) and bool(_place(one)[0])


def _place(address: str) -> tuple[str, str, str]:
    """Kind, server and name of a database."""
    kind, _, rest = address.partition("://")
    where = rest.rpartition("@")[2].partition("?")[0]
    server, _, name = where.partition("/")
    return kind.split("+")[0], server, name
