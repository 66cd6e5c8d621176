"""PostgreSQL: the driver that plain addresses mean, and how soon a connection that is dead is noticed."""

from __future__ import annotations

from urllib.parse import parse_qsl

PLAIN = ("postgres", "postgresql")
"""Schemes that name no driver: psycopg 3 is meant, which the extra `harness[postgres]` installs."""
DRIVER = "postgresql+psycopg"
CONNECTION = {
    "connect_timeout": 10,
    # A host that has vanished says nothing: TCP has to ask.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""Parameters of libpq's connections: seconds, and milliseconds for the last."""


def is_postgres(url: str) -> bool:
    """Whether a URL is that of a PostgreSQL database, whatever the driver."""
    scheme, slashes, _ = url.partition("://")
    return bool(slashes) and scheme.lower().split("+")[0] in PLAIN


def with_driver(url: str) -> str:
    """The URL as SQLAlchemy takes it: where it names no driver of PostgreSQL's, psycopg 3 is put in."""
    scheme, slashes, rest = url.partition("://")
    return f"{DRIVER}://{rest}" if slashes and scheme.lower() in PLAIN else url


def connect_args(url: str) -> dict[str, int]:
    """What SQLAlchemy is to connect with, besides what the URL says itself; nothing for other drivers."""
    if with_driver(url).partition("://")[0].lower() not in (DRIVER, "postgresql+psycopg2"):
        return {}
    given = {name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    return {name: value for name, value in CONNECTION.items() if name not in given}
