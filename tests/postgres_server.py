"""A real PostgreSQL server in a folder of its own, on a free port of 127.0.0.1, with passwords asked for."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER, PASSWORD = "harness", "s3cret-of-postgres"
REQUIRED = "HARNESS_NEEDS_POSTGRES"
"""Set where a server must be there, as in continuous integration: without one, tests fail then."""
WAITING_SECONDS = 60.0


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, which Debian keeps off the path; None if there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


def _account() -> str | None:
    """Who runs the server if we are root, whom PostgreSQL does not run for; None: we ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


class PostgresServer:
    """Starts and stops one cluster."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Make the cluster in the empty `folder`, and start no server yet."""
        self._programs, self._data = programs, folder / "data"
        self._log = (folder / "server.log").open("ab")
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        password = folder / "password"
        password.write_text(PASSWORD)
        if self._account:
            for path in (folder, password):
                shutil.chown(path, self._account)
        subprocess.run(
            [
                programs / "initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", "-E", "UTF8",
                "--locale=C", "--no-sync", f"--pwfile={password}",
            ],
            check=True, cwd=folder, user=self._account, stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def start(self) -> None:
        """Start the server, and wait until it lets somebody in."""
        self._process = subprocess.Popen(
            [
                self._programs / "postgres", "-D", self._data, "-p", str(self.port),
                "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
            ],
            cwd=self._data.parent, user=self._account, stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + WAITING_SECONDS
        while True:
            try:
                self.run("SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._said()
                assert time.monotonic() < deadline, self._said()
                time.sleep(0.1)
            else:
                return

    @property
    def pid(self) -> int:
        """Of the server's first process, which has started all others."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been stopped since."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Cut all connections and end the server, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(WAITING_SECONDS)
            self._process = None

    def close(self) -> None:
        """Stop the server, and close its log."""
        self.stop()
        self._log.close()

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the administrator; its rows."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True,
            connect_timeout=10,
        ) as connection:  # fmt: skip
            done = connection.execute(statement)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []

    def url(
        self,
        database: str,
        *,
        scheme: str = "postgresql+psycopg",
        user: str = USER,
        password: str | None = PASSWORD,
    ) -> str:
        """The address of a database, with a password unless that is None."""
        who = user if password is None else f"{user}:{password}"
        return f"{scheme}://{who}@127.0.0.1:{self.port}/{database}"

    def fresh(self, name: str) -> str:
        """The address of an empty database with this name, made anew."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.run(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _said(self) -> str:
        return (self._data.parent / "server.log").read_text(errors="replace")


@contextmanager
def running_server(programs: Path) -> Iterator[PostgresServer]:
    """A server that runs within."""
    # Not in pytest's folder: the account that runs the server must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        server = PostgresServer(programs, folder)
        try:
            server.start()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
