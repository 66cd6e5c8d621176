"""A study's lock in its storage, beside the one in its folder.

The one in the folder keeps out who shares the folder, this one who shares a PostgreSQL storage, on whatever
host and in whatever folder. An SQLite storage is a file beside the studies and needs no second lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.errors import StudyError, UnreachableError
from harness.tracking.address import check_optuna_address
from harness.tracking.database_lock import DatabaseLock, Holder
from harness.tracking.postgres import is_postgres
from harness.tracking.store_errors import explain
from harness.tracking.stores import OPTUNA, optuna_store


@contextmanager
def storage_lock(
    study: str, note: Callable[[str], None] = lambda _: None, taken: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold a study's lock in Optuna's storage, if that is PostgreSQL.

    A storage that is away keeps nobody from working: its lock is taken as soon as that is possible.

    Args:
        study: its name.
        note: told that the lock cannot be held for now, from another thread.
        taken: told, from another thread, that somebody else has got the lock, after the connection was lost
            or before there was one: nothing more is to be begun.

    Raises:
        StudyError: somebody else has the lock; or, at the end, they have got it meanwhile.
        StoreError: the storage cannot work as it is set up.
    """
    store = optuna_store()
    if not is_postgres(store.address):
        yield
        return
    takers: list[Holder] = []

    def on_away(error: Exception) -> None:
        note(
            f"{explain(error, OPTUNA)} The study's lock there is taken as soon as that is possible; until "
            "then coordinators on other hosts are not kept out."
        )

    def on_taken(holder: Holder) -> None:
        takers.append(holder)
        taken()

    lock, holder = _asked_for(store.address, study, on_away, on_taken)
    if holder is not None:
        raise StudyError(
            f"The study {study} is being run by {holder.description}, which has its lock in {OPTUNA} at "
            f"{store.shown}. Wait for it to end, or stop it first; or give this study another name."
        )
    lock.keep()
    try:
        yield
    except KeyboardInterrupt:
        if not takers:
            raise
    finally:
        lock.release()
    if takers:
        raise StudyError(
            f"The study {study} is being run by {takers[0].description}, which got its lock in {OPTUNA} at "
            f"{store.shown} while that could not be reached from here, so nothing more was begun here. Wait "
            f"for the other to end, or stop it; then go on with: harness resume {study}"
        )


def _asked_for(
    url: str, study: str, away: Callable[[Exception], None], taken: Callable[[Holder], None]
) -> tuple[DatabaseLock, Holder | None]:
    """The lock, and who has it if somebody else does; nobody has it if the storage is away."""
    try:
        check_optuna_address(url)
        lock = DatabaseLock(url, study, away=away, taken=taken)
    except Exception as error:
        raise explain(error, OPTUNA) from error
    try:
        return lock, lock.take()
    except Exception as error:
        problem = explain(error, OPTUNA)
        if isinstance(problem, UnreachableError):
            return lock, None
        raise problem from error
