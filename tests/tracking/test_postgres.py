"""Optuna's storage in a real PostgreSQL: addresses that work, and what is said of those that do not."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest

from harness.errors import HarnessError, StoreError, UnreachableError
from harness.tracking.optuna_storage import open_storage
from harness.tracking.postgres import CONNECTION, connect_args, is_postgres, with_driver
from harness.tracking.schema import revision
from harness.tracking.store_errors import explain
from harness.tracking.stores import OPTUNA
from tests.mlflow_server import free_port
from tests.postgres_server import PASSWORD, PostgresServer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _without_what_optuna_leaves_open() -> Iterator[None]:
    """A storage of Optuna's that could not be made keeps a connection, which nobody else can close."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "<psycopg.Connection", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_plain_address_means_psycopg_3(scheme: str, postgres: PostgresServer) -> None:
    postgres.fresh("plain")
    storage = open_storage(postgres.url("plain", scheme=scheme))
    assert storage.engine.driver == "psycopg"
    storage.engine.dispose()
    assert str(revision(postgres.url("plain", scheme=scheme))).startswith("v")


def test_a_password_may_come_from_the_environment(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.fresh("plain")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    open_storage(postgres.url("plain", password=None)).engine.dispose()


@pytest.mark.parametrize(
    "url", ["sqlite:///a.db", "postgresql+psycopg2://db/x", "mysql://db/x", "postgresql"]
)
def test_other_addresses_are_left_alone(url: str) -> None:
    assert with_driver(url) == url
    assert is_postgres(url) == url.startswith("postgresql+")


def test_what_the_address_says_itself_of_its_connections_holds() -> None:
    given = connect_args("postgresql://db/x?connect_timeout=3&keepalives=0")
    assert given.keys() == CONNECTION.keys() - {"connect_timeout", "keepalives"}
    assert connect_args("postgresql+asyncpg://db/x") == connect_args("sqlite:///a.db") == {}


def told(url: str, monkeypatch: pytest.MonkeyPatch) -> HarnessError:
    """What is said of Optuna's storage at this address."""
    monkeypatch.setenv("HARNESS_STORAGE", url)
    with pytest.raises(Exception) as caught:
        open_storage(url)
    problem = explain(caught.value, OPTUNA)  # type: ignore[arg-type]
    assert "s3cret" not in str(problem)
    assert "\n" not in str(problem)
    return problem


def test_each_thing_that_is_wrong_is_one_sentence(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.fresh("owned")
    if not postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'guest'"):
        postgres.run(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    postgres.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "owned")  # as it is since PostgreSQL 15
    for url, kind, said in (
        (postgres.url("owned", password="wrong-s3cret"), StoreError, "password authentication failed"),
        (postgres.url("owned", password=None), StoreError, "no password supplied"),
        (postgres.url("owned", user="nobody-here"), StoreError, "not given access"),
        (postgres.url("missing"), StoreError, "There is no database 'missing' at"),
        (postgres.url("owned", user="guest"), StoreError, "GRANT USAGE, CREATE ON SCHEMA public"),
        (
            postgres.url("owned").replace(f":{postgres.port}/", f":{free_port()}/"),
            UnreachableError,
            "cannot be reached: the connection is refused",
        ),
    ):
        problem = told(url, monkeypatch)
        assert type(problem) is kind, problem
        assert said in str(problem)


def test_a_missing_driver_is_named_with_what_installs_it() -> None:
    script = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "sys.argv = ['harness', 'sweep', 'quickstart', '--study', 's', '--storage', sys.argv[1]]\n"
        "from harness.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "postgres://ann:s3cret@127.0.0.1/x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "needs the Python package 'psycopg'" in done.stderr
    assert "pip install 'harness[postgres]'" in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert "s3cret" not in done.stderr
