"""SQLite files and the URIs that name them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

SQLITE = "sqlite:///"


def is_sqlite(uri: str) -> bool:
    """Whether a database's URI names SQLite, with the driver that comes with Python."""
    return uri.partition("://")[0] in ("sqlite", "sqlite+pysqlite")


def sqlite_uri(file: Path) -> str:
    """The URI of an SQLite file, with what has a meaning in URIs (or in Optuna's templates) quoted."""
    return SQLITE + "".join(quote(character) if character in "%?{}" else character for character in str(file))


def sqlite_file(uri: str) -> Path | None:
    """The file that an SQLite URI names; None for a database in memory, with options, or of another kind."""
    name = uri.partition("://")[2].removeprefix("/")
    if not is_sqlite(uri) or "?" in name or name in ("", ":memory:"):
        return None
    return Path(unquote(name))
