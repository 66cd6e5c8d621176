"""A study's lock in PostgreSQL: whoever shares the storage cannot run the study at the same time.

It is an advisory lock of a session, held on a connection of its own: the server lets go of it when that ends,
however it ends. Advisory locks belong to a database, so its key is made of the study's name alone. Who holds
it is told by the name that the connection gives itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from harness.tracking.postgres import connect_args, with_driver

if TYPE_CHECKING:
    from sqlalchemy import Connection

ANOTHER_LOOK_SECONDS = 1.0
"""Seconds for which a held lock is waited for: a server needs a moment to notice that its holder has died."""
LOOK_SECONDS = 2.0
"""Seconds between two looks at whether the connection is alive."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds until the next try to take a lock again; they double with each further one."""
TOLD_AFTER = 2
"""Failures in a row after which a person is told."""
LONGEST_NAME = 63
"""Characters that PostgreSQL keeps of a connection's name."""
_NAME = re.compile(r"harness [0-9a-f]{8} (\d+)@(.*)")
_SERVER = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""How soon the server notices that the holder's host has vanished: in 25 seconds."""
_HOLDER = """
SELECT session.pid, session.application_name, session.backend_start
FROM pg_locks AS held JOIN pg_stat_activity AS session ON session.pid = held.pid
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND CAST(held.classid AS bigint) = :high AND CAST(held.objid AS bigint) = :low
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lock."""

    pid: int = 0
    """The process of the server that serves them; 0 if it has just ended."""
    name: str = ""
    """What their connection calls itself; empty if the server does not tell."""
    since: datetime | None = None

    @property
    def description(self) -> str:
        """Who it is, in words, as `harness.study.lock` says it."""
        found = _NAME.fullmatch(self.name)
        who = f"process {found[1]} on {found[2]}" if found else "another process"
        since = f" (since {self.since.astimezone():%Y-%m-%d %H:%M:%S})" if self.since else ""
        return f"{who}{since}"


def lock_key(study: str) -> int:
    """The key of a study's advisory lock, a signed 64-bit integer."""
    digest = hashlib.sha256(f"harness study {study}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


class DatabaseLock:
    """One coordinator's claim on a study."""

    def __init__(
        self,
        url: str,
        study: str,
        *,
        away: Callable[[Exception], None],
        taken: Callable[[Holder], None],
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: of the PostgreSQL database that is the storage.
            study: its name.
            away: told what keeps the lock from being held, once whenever it has been so for a moment; from
                the lock's own thread.
            taken: told, from the same thread, that somebody else has got the lock meanwhile; it is not held
                any more then.
        """
        import sqlalchemy

        self._engine = sqlalchemy.create_engine(
            with_driver(url),
            poolclass=sqlalchemy.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=connect_args(url),
        )
        self._key = lock_key(study)
        name = f"harness {secrets.token_hex(4)} {os.getpid()}@{socket.gethostname()}"
        self._name = name.encode("ascii", "replace").decode()[:LONGEST_NAME]
        self._away, self._taken = away, taken
        self._connection: Connection | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="study lock", daemon=True)

    def take(self) -> Holder | None:
        """Take the lock; or say who has it, and do not.

        Raises:
            Exception: whatever SQLAlchemy and the driver beneath it raise.
        """
        from sqlalchemy import text

        connection = self._engine.connect()
        try:
            connection.execute(
                text("SELECT set_config('application_name', :name, false)"), {"name": self._name}
            )
            for setting, value in _SERVER.items():
                connection.exec_driver_sql(f"SET {setting} = {value}")
            try_it = text("SELECT pg_try_advisory_lock(CAST(:key AS bigint))")
            deadline = time.monotonic() + ANOTHER_LOOK_SECONDS
            while not connection.scalar(try_it, {"key": self._key}):
                holder = self._holder(connection)
                is_own = holder.name == self._name  # a connection whose end the server has not noticed
                if is_own:
                    connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": holder.pid})
                if time.monotonic() > deadline:
                    if is_own:
                        raise TimeoutError("the server does not end a former connection")
                    connection.close()
                    return holder
                time.sleep(0.1)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        self._connection = connection
        return None

    def keep(self) -> None:
        """Have a thread hold the lock until `release`: whenever the connection is lost, it is taken again."""
        self._thread.start()

    def release(self) -> None:
        """Let go of the lock; a server that does not answer is not waited for."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)
        if self._thread.is_alive():
            return  # it waits for a server that is away; so there is nothing to let go of
        self._disconnect()

    def _holder(self, connection: Connection) -> Holder:
        from sqlalchemy import text

        key = self._key % 2**64
        row = connection.execute(text(_HOLDER), {"high": key >> 32, "low": key % 2**32}).first()
        return Holder(row[0], row[1] or "", row[2]) if row else Holder()

    def _hold(self) -> None:
        while not self._closing.wait(LOOK_SECONDS if self._connection is not None else 0.0):
            if self._is_connected():
                continue
            self._disconnect()
            holder = self._take_again()
            if holder is not None:
                self._taken(holder)
                return

    def _is_connected(self) -> bool:
        from sqlalchemy.exc import SQLAlchemyError

        if self._connection is None:
            return False
        try:
            self._connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return False
        return True

    def _take_again(self) -> Holder | None:
        """Try until the lock is held, or somebody else has it, or the end has come."""
        pause, failures = FIRST_PAUSE, 0
        while True:
            try:
                return self.take()
            except Exception as error:  # noqa: BLE001 - a server may fail in any way; the sweep goes on
                failures += 1
                if failures == TOLD_AFTER and not self._closing.is_set():
                    self._away(error)
            if self._closing.wait(pause):
                return None
            pause = min(2 * pause, LONGEST_PAUSE)

    def _disconnect(self) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(SQLAlchemyError):
            connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
        with contextlib.suppress(SQLAlchemyError):
            connection.close()
