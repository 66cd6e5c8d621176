"""An Optuna storage: how it is opened, and which of its studies show ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from harness.errors import UnreachableError
from harness.paths import is_sqlite
from harness.tracking.address import check_optuna_address
from harness.tracking.postgres import connect_args, with_driver
from harness.tracking.schema import check_optuna_schema
from harness.tracking.sqlite_file import ensure_store, is_missing

if TYPE_CHECKING:
    import optuna

SQLITE_BUSY_SECONDS = 20.0
STUDY_ID = "harness.study_id"
"""An attribute of an Optuna study: the id of our study."""
TRIAL = "trial"
"""An attribute of an Optuna trial: its number in our study."""
CLAIM_SECONDS = 2.0
"""An Optuna study without trials that has had no owner for so long was left by a process that was killed."""


def open_storage(url: str) -> Any:
    """An Optuna storage; SQLite in write-ahead mode with a patient lock.

    Raises:
        StoreError: the storage cannot work, whatever one waits for.
        Exception: whatever Optuna and the libraries beneath it raise, see `harness.tracking.store_errors`.
    """
    check_optuna_address(url)
    check_optuna_schema(url)
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    if not is_sqlite(url):
        return RDBStorage(
            _verbatim(with_driver(url)),
            engine_kwargs={"pool_pre_ping": True, "connect_args": connect_args(url)},
        )
    ensure_store(url, lambda fresh: RDBStorage(fresh).engine.dispose())
    storage = RDBStorage(_verbatim(url), engine_kwargs={"connect_args": {"timeout": SQLITE_BUSY_SECONDS}})

    def on_connect(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.engine.dispose()
    event.listen(storage.engine, "connect", on_connect)
    return storage


def _verbatim(url: str) -> str:
    """The URL as Optuna leaves it alone: it fills in what stands in braces."""
    return url.replace("{", "{{").replace("}", "}}")


def find_or_create_study(
    storage: Any, name: str, study_id: str, directions: list[Any], attempted: set[str]
) -> optuna.Study:
    """The Optuna study that shows ours; the name may have been used by somebody else.

    Args:
        storage: as `open_storage` has opened it.
        name: of our study; if it is taken, the id is put behind it.
        study_id: of our study.
        directions: of its objectives, `maximize` or `minimize`.
        attempted: names of Optuna studies that this process has tried to create, to which new ones are
            added: one of these without an owner is ours.

    Raises:
        UnreachableError: others have taken every name.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = {study.study_name: study for study in optuna.get_all_study_summaries(storage)}
    names = [name, f"{name} ({study_id[:8]})", f"{name} ({study_id})"]
    owners = {one: known[one].user_attrs.get(STUDY_ID) for one in names if one in known}
    # Ours first, whichever name it has.
    names.sort(key=lambda one: owners.get(one) != study_id)
    for one in names:
        if one not in known:
            attempted.add(one)
            found = optuna.create_study(study_name=one, storage=storage, directions=directions)
        elif owners[one] in (None, study_id) and (owners[one] or not known[one].n_trials):
            if owners[one] is None and one not in attempted:
                time.sleep(CLAIM_SECONDS)  # it may be somebody else's who is just making it
            found = optuna.load_study(study_name=one, storage=storage)
        else:
            continue
        if _claim(found, study_id):
            return found
    raise UnreachableError(f"Optuna's storage has no name left for the study {name!r}.")


def _claim(study: optuna.Study, study_id: str) -> bool:
    """Write our id to an Optuna study, unless it has another one; whether the study is ours now."""
    if study.user_attrs.get(STUDY_ID) is None:
        study.set_user_attr(STUDY_ID, study_id)
    return bool(study.user_attrs.get(STUDY_ID) == study_id)


def stored_states(url: str, study_id: str) -> dict[int, str]:
    """Optuna's state of every trial, by the trial's number in our study; none if there is no such study.

    Raises:
        StoreError: the storage cannot work as it is set up.
        Exception: whatever Optuna and the libraries beneath it raise.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check_optuna_address(url)
    if is_missing(url):
        return {}
    storage = open_storage(url)
    try:
        return {
            int(trial.user_attrs[TRIAL]): trial.state.name.lower()
            for summary in optuna.get_all_study_summaries(storage)
            if summary.user_attrs.get(STUDY_ID) == study_id
            for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials
            if TRIAL in trial.user_attrs  # others were added by somebody else
        }
    finally:
        storage.remove_session()
        storage.engine.dispose()
