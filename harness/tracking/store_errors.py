"""What a store's failure means: one sentence, and whether waiting can help.

MLflow, Optuna, SQLAlchemy, database drivers and HTTP libraries each raise errors of their own, with addresses
(and passwords) in them. They are told apart by their types and codes where there are any, else by what they
say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.errors import HarnessError, StoreError, UnreachableError
from harness.tracking.redaction import without_secrets
from harness.tracking.stores import MLFLOW, OPTUNA, Store, mlflow_store, optuna_store

MOST_CHARACTERS = 300
PASSING = (408, 409, 425, 429)
"""HTTP states below 500 that are over after a while."""
_NETWORK = (
    (re.compile(r"Connection refused|actively refused", re.IGNORECASE), "the connection is refused"),
    (
        re.compile(r"resolve|Name or service not known|getaddrinfo|nodename nor servname", re.IGNORECASE),
        "its name is not known",
    ),
    (re.compile(r"timed? ?out|timeout expired", re.IGNORECASE), "it does not answer in time"),
    (re.compile(r"starting up|recovery mode", re.IGNORECASE), "it is starting"),
    (re.compile(r"shutting down", re.IGNORECASE), "it is shutting down"),
    (re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate", re.IGNORECASE), "its certificate is not trusted"),
    (
        re.compile(r"Network is unreachable|No route to host", re.IGNORECASE),
        "there is no way to it in the network",
    ),
    (
        re.compile(
            r"Connection (?:aborted|reset)|RemoteDisconnected|closed the connection|terminating connection",
            re.IGNORECASE,
        ),
        "it cut the connection",
    ),
)
_HTTP_STATUS = re.compile(r"too many (\d{3}) error responses|error code (\d{3}) != ")
_BODY = re.compile(r"Response body: '(.*)'\s*$", re.DOTALL)
_NO_ACCESS = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|Access denied|permission denied"
    r"|no password supplied|authentication failed|role \"[^\"]*\" does not exist|Login failed",
    re.IGNORECASE,
)
_NO_DATABASE = re.compile(
    r"database \"?([^\"\s]+)\"? does not exist|Unknown database '([^']+)'", re.IGNORECASE
)
_SQLITE = (
    ("readonly database", "it is read-only"),
    ("file is not a database", "the file is not a database"),
    ("database disk image is malformed", "the file is damaged"),
    ("database is locked", "another program keeps it locked"),
    ("disk is full", "its disk is full"),
    ("disk I/O error", "its disk fails"),
    ("unable to open database file", "the file cannot be opened; check the permissions of its folder"),
)
_SQL_TYPES = ("sqlalchemy.exc.DBAPIError", "sqlite3.Error", "optuna.exceptions.StorageInternalError")


def explain(error: Exception, name: str) -> HarnessError:
    """The same failure for people: StoreError if waiting cannot help, else UnreachableError.

    Args:
        error: what was raised while the store called `name` was used.
        name: `MLflow`, `Optuna's storage`, or another tracker's.
    """
    if isinstance(error, HarnessError):
        return error
    store = {MLFLOW: mlflow_store, OPTUNA: optuna_store}.get(name, lambda: None)()
    for one in _causes(error):
        found = store and (_setup(one, store) or _http(one, store) or _sql(one, store))
        if found:
            return found
    for pattern, reason in _NETWORK:
        if pattern.search(str(error)):
            return UnreachableError(f"{_at(name, store)} cannot be reached: {reason}.")
    if isinstance(error, OSError):
        return UnreachableError(f"{_at(name, store)} cannot be used: {_short(error)}.")
    return UnreachableError(f"{name} failed: {type(error).__name__}: {_short(error)}.")


def goes_on(problem: str) -> str:
    """What to say while a sweep runs of a tracker that cannot be written."""
    return f"{problem} The sweep goes on; what is missing is written as soon as that is possible."


def _at(name: str, store: Store | None) -> str:
    return f"{name} at {store.shown}" if store else name


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _types(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}


def _short(error: BaseException) -> str:
    """The first line of an error's message, without secrets and without the full stop."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines() or [type(error).__name__]
    line = without_secrets(lines[0]).rstrip(". ")
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]} …"


def _setup(error: BaseException, store: Store) -> HarnessError | None:
    """Settings and installations that are wrong."""
    types = _types(error)
    if isinstance(error, ModuleNotFoundError):
        return StoreError(
            f"{store.name} needs the Python package {error.name!r} for {store.shown}, and it is not "
            f"installed. {_installed_by(error)}, or name another driver or store in {store.setting}, such as "
            "postgresql+psycopg://user:password@server/name."
        )
    if "sqlalchemy.exc.NoSuchModuleError" in types:
        return StoreError(f"{store.setting} names a kind of database that is not known here: {store.shown}.")
    if "sqlalchemy.exc.ArgumentError" in types or (
        isinstance(error, ValueError) and "port" in str(error).lower()
    ):
        return StoreError(
            f"{store.setting} cannot be read as an address: {store.shown}. Write special characters of user "
            "name and password as %40 for '@', %3A for ':', %2F for '/', %25 for '%'."
        )
    if "alembic.util.exc.CommandError" in types or "no longer compatible with the table schema" in str(error):
        return StoreError(f"{store.shown} has tables of another version of {store.package}: {_short(error)}.")
    if isinstance(error, (PermissionError, NotADirectoryError, IsADirectoryError)):
        where = f" ({error.filename})" if error.filename else ""
        return StoreError(
            f"{store.name} cannot use {store.shown}: {error.strerror}{where}. Check its permissions, or name "
            f"another store in {store.setting}."
        )
    return None


def _installed_by(error: ModuleNotFoundError) -> str:
    """What to do about a missing driver."""
    return "Install it by `pip install 'harness[postgres]'`" if error.name == "psycopg" else "Install it"


def _http(error: BaseException, store: Store) -> HarnessError | None:
    """What an MLflow server, or whatever answers in its place, says."""
    if "mlflow.exceptions.MlflowException" not in _types(error):
        return None
    text, code, shown = str(error), getattr(error, "error_code", ""), store.shown
    refused = _body(text) or _short(error).removeprefix("PERMISSION_DENIED: ")
    lasting = {
        "UNAUTHENTICATED": f"MLflow at {shown} does not accept the user name and password (HTTP 401). Set "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        "PERMISSION_DENIED": f"MLflow at {shown} refuses access (HTTP 403: {refused}). Ask whoever runs it "
        "for the right to write, or use other credentials.",
        "ENDPOINT_NOT_FOUND": f"There is no MLflow server at {shown} (HTTP 404). Check {store.setting}.",
    }
    lasting["CUSTOMER_UNAUTHORIZED"] = lasting["UNAUTHENTICATED"]
    status = _HTTP_STATUS.search(text)
    if code in lasting:
        return StoreError(lasting[code])
    if "not in a valid JSON format" in text:
        return StoreError(f"What answers at {shown} is not an MLflow server. Check {store.setting}.")
    if status is None:
        return None
    number = int(status[1] or status[2])
    said = f": {_body(text)}" if _body(text) else ""
    if number < 500 and number not in PASSING:
        return StoreError(f"MLflow at {shown} does not take requests (HTTP {number}{said}).")
    return UnreachableError(f"MLflow at {shown} answers with an error (HTTP {number}{said}).")


def _body(text: str) -> str:
    """What the server said, if it is short and plain."""
    found = _BODY.search(text)
    said = without_secrets(" ".join(found[1].split())) if found else ""
    return said.rstrip(".") if len(said) <= 100 and "<" not in said else ""


def _sql(error: BaseException, store: Store) -> HarnessError | None:
    types = _types(error)
    text = _short(error)
    for said, reason in _SQLITE:
        if said in text:
            return UnreachableError(f"{store.name} cannot be used at {store.shown}: {reason}.")
    if not types & set(_SQL_TYPES) and "mlflow.exceptions.MlflowException" not in types:
        return None
    if "permission denied for schema" in text:
        return StoreError(
            f"{store.name} is not given access to {store.shown}: {text}. The user must be able to create "
            "tables: make it the database's owner, or GRANT USAGE, CREATE ON SCHEMA public TO it."
        )
    if _NO_ACCESS.search(text):
        return StoreError(
            f"{store.name} is not given access to {store.shown}: {text}. Check {store.setting}."
        )
    missing = _NO_DATABASE.search(text)
    if missing:
        return StoreError(
            f"There is no database {missing[1] or missing[2]!r} at {store.shown}. Create it, or name another "
            f"in {store.setting}."
        )
    return None
