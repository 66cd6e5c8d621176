"""What an address says of itself, before anybody waits for what is behind it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.paths import sqlite_file, sqlite_uri
from harness.tracking.address import check_mlflow_address, check_optuna_address, same_database
from harness.tracking.sqlite_file import check_writable, ensure_store, is_missing

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 120
)


@given(name=NAMES)
def test_any_folder_can_hold_a_database(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The URI names exactly this file, for us and for SQLAlchemy."""
    file = tmp_path_factory.mktemp("any") / name / "store.db"
    uri = sqlite_uri(file)
    assert sqlite_file(uri) == file
    assert sqlalchemy.make_url(uri).database == str(file)


@pytest.mark.parametrize(
    "name", ["100% sure", "a%20b", "c#sharp", "why?", "Bücher & Söhne", "{x}", "[b]*", "a:b"]
)
def test_a_store_is_made_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    def create(uri: str) -> None:
        engine = sqlalchemy.create_engine(uri)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
        engine.dispose()

    file = tmp_path / "any" / name / "store.db"
    assert is_missing(sqlite_uri(file))
    ensure_store(sqlite_uri(file), create)
    check_writable(sqlite_uri(file))
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]
    assert [one.name for one in (tmp_path / "any").iterdir()] == [name]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("file:/data/runs", "folder of files"),
        ("./mlruns", "folder of files"),
        ("/data/mlruns", "folder of files"),
        ("postgres://db/x", r"postgresql\+psycopg"),
        ("foo://ann:s3cret@x/y", "no store of the kind 'foo'"),
        ("s3://bucket/x", "no store of the kind 's3'"),
        ("http://", "names no server"),
        ("https:///path", "names no server"),
        ("http://host:port/x", "names no server"),
        ("http://[::1/x", "names no server"),
        ("sqlite:/mlflow.db", "cannot be read as an address"),
        ("sqlite://mlflow.db", "Three slashes"),
        ("postgresql://ann:s3@cret@db/x", "more than one '@'"),
        ("sqlite:///folder", "is a folder"),
        ("sqlite:///file.txt/mlflow.db", "is not a folder"),
    ],
)
def test_an_address_that_can_never_work_is_told(uri: str, said: str) -> None:
    Path("folder").mkdir()
    Path("file.txt").write_text("")
    with pytest.raises(StoreError, match=said) as told:
        check_mlflow_address(uri)
    assert "s3" not in str(told.value) or "s3:" in uri
    if not uri.startswith(("file", ".", "/", "foo", "s3", "postgres:", "http")):
        with pytest.raises(StoreError, match=said):
            check_optuna_address(uri)


@pytest.mark.parametrize("uri", ["optuna.db", "http://db/x", "/data/optuna.db", "file:optuna.db"])
def test_optuna_wants_a_database(uri: str) -> None:
    with pytest.raises(StoreError, match="not the address of a database"):
        check_optuna_address(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///mlflow.db", "sqlite:////tmp/nowhere/deep/mlflow.db", "sqlite:///file:x.db?mode=ro&uri=true",
        "postgresql+psycopg://ann:p%40ss@db/x", "mysql+pymysql://db/x", "http://127.0.0.1:9", "databricks",
        "databricks://profile", "https://ann:s3cret@mlflow.example.org/base",
    ],
)  # fmt: skip
def test_what_may_work_passes(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_mlflow_address(uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_mlflow_address("file:/data/runs")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sqlite:///a.db", "sqlite:///./a.db", True),
        ("sqlite:///a.db", "sqlite:///b.db", False),
        ("sqlite:///a%20b.db", "sqlite:///a b.db", True),
        ("postgresql+psycopg://ann:x@db/runs", "postgresql://bob:y@db/runs?sslmode=require", True),
        ("postgresql://db/runs", "postgresql://db/optuna", False),
        ("mysql://db/runs", "postgresql://db/runs", False),
        ("http://db/runs", "http://db/runs", False),
        ("sqlite:///runs", "postgresql://db/runs", False),
    ],
)
def test_mlflow_and_optuna_must_not_share_a_database(one: str, other: str, same: bool) -> None:
    assert same_database(one, other) is same
