"""What failing stores raise becomes one sentence, and an error that says whether waiting can help."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy.exc

from harness.errors import HarnessError, StoreError, UnreachableError
from harness.tracking.mlflow_client import connect
from harness.tracking.optuna_storage import open_storage
from harness.tracking.sqlite_file import check_writable, create_mlflow_tables, ensure_store
from harness.tracking.store_errors import explain, goes_on
from harness.tracking.stores import MLFLOW, OPTUNA
from tests.conftest import keep_tables

pytestmark = pytest.mark.slow


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers every request alike; its address, with a password in it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://ann:s3cret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(uri: str, monkeypatch: pytest.MonkeyPatch) -> HarnessError:
    """What is said of MLflow's store at this address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(Exception) as caught:
        connect(uri).get_experiment_by_name("pets")
        check_writable(uri)
    problem = explain(caught.value, MLFLOW)  # type: ignore[arg-type]
    assert "s3cret" not in str(problem)
    assert "\n" not in str(problem)
    assert str(problem).endswith((".", '"'))
    return problem


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, b"go away", StoreError, "MLFLOW_TRACKING_USERNAME"),
        (
            403,
            b'{"error_code": "PERMISSION_DENIED", "message": "read only"}',
            StoreError,
            "HTTP 403: read only",
        ),
        (403, b"Invalid Host header", StoreError, "Invalid Host header"),
        (404, b"nothing here", StoreError, "no MLflow server"),
        (400, b"bad request", StoreError, "HTTP 400: bad request"),
        (302, b"", StoreError, "HTTP 302"),
        (200, b"<html>hello</html>", StoreError, "not an MLflow server"),
        (500, b"oops", UnreachableError, "HTTP 500"),
        (502, b"<html>bad gateway</html>", UnreachableError, "HTTP 502"),
        (503, b"starting", UnreachableError, "HTTP 503"),
        (429, b"slowly", UnreachableError, "HTTP 429"),
    ],
)
def test_what_a_server_answers(
    status: int, body: bytes, kind: type, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, body) as uri:
        problem = told(uri, monkeypatch)
    assert type(problem) is kind
    assert said in str(problem)
    assert "127.0.0.1" in str(problem)


def test_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        problem = told(f"http://ann:s3cret@127.0.0.1:{taken.getsockname()[1]}", monkeypatch)
    assert type(problem) is UnreachableError
    assert "cannot be reached: the connection is refused" in str(problem)
    assert "The sweep goes on" in goes_on(str(problem))


def test_a_server_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        problem = told(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
    assert type(problem) is UnreachableError
    assert "does not answer in time" in str(problem)


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = told("http://nowhere.invalid:5000", monkeypatch)
    assert type(problem) is UnreachableError
    assert "its name is not known" in str(problem)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql+psycopg2://ann:s3cret@127.0.0.1/x", "'psycopg2'"),
        ("mysql://ann:s3cret@127.0.0.1/x", "'MySQLdb'"),
        ("sqlite+nothing:///x.db", "not known here"),
        ("postgresql://ann:s3cret@host:port/x", "cannot be read as an address"),
    ],
)
def test_what_the_machine_lacks(uri: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = told(uri, monkeypatch)
    assert type(problem) is StoreError
    assert said in str(problem)
    monkeypatch.setenv("HARNESS_STORAGE", uri)
    with pytest.raises(Exception) as caught:
        open_storage(uri)
    problem = explain(caught.value, OPTUNA)  # type: ignore[arg-type]
    assert type(problem) is StoreError
    assert said in str(problem)
    assert "HARNESS_STORAGE" in str(problem)
    assert "s3cret" not in str(problem)


def test_files_that_are_no_database_or_cannot_be_written(
    mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_tables(mlflow_tables)
    Path("text.db").write_text("not a database, for now\n" * 50)
    problem = told("sqlite:///text.db", monkeypatch)
    assert type(problem) is UnreachableError
    assert "the file is not a database" in str(problem)
    ensure_store("sqlite:///mlflow.db", create_mlflow_tables)
    connect("sqlite:///mlflow.db").create_experiment("pets")
    problem = told(f"sqlite:///file:{Path.cwd()}/mlflow.db?mode=ro&uri=true", monkeypatch)
    assert type(problem) is UnreachableError
    assert "it is read-only" in str(problem)


def test_a_database_that_is_only_in_use_can_be_written_to() -> None:
    with closing(sqlite3.connect("busy.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("BEGIN IMMEDIATE")
        check_writable("sqlite:///busy.db")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ('FATAL:  password authentication failed for user "ann"', StoreError, "not given access"),
        ('FATAL:  role "ann" does not exist', StoreError, "not given access"),
        ("permission denied for schema public", StoreError, "not given access"),
        ('FATAL:  database "runs" does not exist', StoreError, "no database 'runs'"),
        ("(1049, \"Unknown database 'runs'\")", StoreError, "no database 'runs'"),
        ("FATAL:  the database system is starting up", UnreachableError, "it is starting"),
        ("connection failed: Connection refused\n\tIs the server running?", UnreachableError, "refused"),
        ("connection timeout expired", UnreachableError, "does not answer in time"),
        ("server closed the connection unexpectedly", UnreachableError, "cut the connection"),
    ],
)  # fmt: skip
def test_what_database_servers_say(text: str, kind: type, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As drivers say it; SQLAlchemy and Optuna wrap it."""
    monkeypatch.setenv("HARNESS_STORAGE", "postgresql+psycopg://ann:s3cret@db/runs")
    for name in (MLFLOW, OPTUNA):
        error = sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception(text))
        problem = explain(error, name)
        assert type(problem) is kind
        assert said in str(problem)
        assert "s3cret" not in str(problem)
        assert "SELECT" not in str(problem)


def test_what_nobody_has_thought_of_is_told_without_secrets() -> None:
    problem = explain(KeyError("http://ann:s3cret@host"), MLFLOW)
    assert type(problem) is UnreachableError
    assert str(problem) == "MLflow failed: KeyError: 'http://***@host'."
    assert explain(StoreError("as it is"), OPTUNA).args == ("as it is",)
