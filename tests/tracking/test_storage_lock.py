"""One coordinator a study among all that share a PostgreSQL storage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import psycopg
import pytest

from harness.errors import StoreError, StudyError
from harness.tracking.database_lock import lock_key
from harness.tracking.storage_lock import storage_lock
from tests.faults.support import until
from tests.postgres_server import PASSWORD, PostgresServer

pytestmark = pytest.mark.slow

HOLDER = """
import sys
from harness.tracking.storage_lock import storage_lock
with storage_lock("s"):
    print("held", flush=True)
    sys.stdin.readline()
"""
HOLDERS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'harness %'"
"""The connections that are there to hold a lock."""


@pytest.fixture(autouse=True)
def storage(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    monkeypatch.setenv("HARNESS_STORAGE", postgres.fresh("locks"))
    return postgres


def holder() -> subprocess.Popen[str]:
    """Another process that has the study's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_coordinator_is_named_and_its_death_lets_go() -> None:
    other = holder()
    with storage_lock("another study"):
        pass
    with pytest.raises(StudyError) as told, storage_lock("s"):
        raise AssertionError("it is held by another process")
    said = str(told.value)
    assert f"The study s is being run by process {other.pid} on {socket.gethostname()} (since " in said
    assert PASSWORD not in said
    other.kill()
    other.communicate()
    with storage_lock("s"):
        pass


def test_a_lock_that_was_let_go_of_can_be_taken_at_once(storage: PostgresServer) -> None:
    for _ in range(3):
        with storage_lock("s"):
            pass
    until(lambda: not storage.run(HOLDERS))


def test_other_names_of_the_database_and_the_plain_scheme_are_the_same_lock(
    storage: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage_lock("s"):
        for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            monkeypatch.setenv("HARNESS_STORAGE", storage.url("locks", scheme=scheme))
            with pytest.raises(StudyError, match=f"process {os.getpid()} on"), storage_lock("s"):
                raise AssertionError("it is held")


def test_a_lost_connection_is_made_again_and_the_lock_with_it(storage: PostgresServer) -> None:
    taken = threading.Event()
    with storage_lock("s", taken=taken.set):
        storage.stop()
        storage.start()
        until(lambda: storage.run(HOLDERS))
        with pytest.raises(StudyError, match="is being run by"), storage_lock("s"):
            raise AssertionError("it is held")
    assert not taken.is_set()


def test_whoever_takes_the_lock_meanwhile_has_it(storage: PostgresServer) -> None:
    notes: list[str] = []
    taken = threading.Event()
    with psycopg.connect(storage.url("locks", scheme="postgresql"), autocommit=True) as other:
        other.execute("SELECT set_config('application_name', 'harness 0123abcd 4711@elsewhere', false)")
        with pytest.raises(StudyError) as told, storage_lock("s", notes.append, taken.set):
            ((own,),) = storage.run(f"{HOLDERS} AND pid <> {other.info.backend_pid}")
            storage.run("ALTER DATABASE locks ALLOW_CONNECTIONS false")
            storage.run(f"SELECT pg_terminate_backend({own})")
            other.execute(f"SELECT pg_advisory_lock({lock_key('s')})")
            until(lambda: notes)
            assert not taken.is_set()
            storage.run("ALTER DATABASE locks ALLOW_CONNECTIONS true")
            assert taken.wait(60)
    said = str(told.value)
    assert "The study s is being run by process 4711 on elsewhere (since " in said
    assert said.endswith("go on with: harness resume s")
    assert "The study's lock there is taken as soon as that is possible" in notes[0]
    assert PASSWORD not in said + notes[0]


def test_a_storage_that_is_away_is_told_and_locked_when_it_is_back(storage: PostgresServer) -> None:
    notes: list[str] = []
    storage.stop()
    with storage_lock("s", notes.append):
        until(lambda: notes)
        assert "cannot be reached: the connection is refused." in notes[0]
        storage.start()
        until(lambda: storage.run(HOLDERS))
    assert len(notes) == 1


def test_a_storage_that_can_never_work_is_told(
    storage: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STORAGE", storage.url("locks", password="wrong-s3cret"))
    with pytest.raises(StoreError, match="not given access") as told, storage_lock("s"):
        raise AssertionError("it cannot be held")
    assert "wrong-s3cret" not in str(told.value)
