"""Text that can be shown: without passwords, tokens and keys, whoever wrote it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SHORTEST = 4
"""A shorter secret is only hidden where the text says that it is one: it would be found in any sentence."""
SERVERS = ("http", "https")
"""Schemes of addresses where a user name without a password is a token."""
ADDRESSES = ("MLFLOW_TRACKING_URI", "HARNESS_STORAGE")
_KEY = (
    r"[\w.-]*(?:passw(?:or)?d|passwd|pwd|token|secret|api[_-]?key|access[_-]?key|signature|credential)[\w.-]*"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_USER = re.compile(r"(?<=://)[^\s\"']*@")
_IN_QUERY = re.compile(r"([?&]user(?:name)?=)[^\s&#\"')]+", re.IGNORECASE)
_NAMED = re.compile(rf"\b({_KEY}\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s&;,\"')]+)", re.IGNORECASE)
_BEARER = re.compile(r"\b((?:Bearer|Basic)\s+)[\w+/=.~-]{8,}")
_SECRET_NAME = re.compile(r"(?:PASSWORD|TOKEN|SECRET|SECRET_ACCESS_KEY|API_KEY)$")


def without_secrets(text: str, *addresses: str) -> str:
    """The text with everything hidden that is a secret, or looks like one.

    Of an address the scheme, the server and the name of the database stay readable, whatever the password is:
    they are no secret, and a gap in one of them would tell what the password is.

    Args:
        text: what is to be shown, such as another library's error.
        addresses: URIs whose user names, passwords and queries must not be seen, besides those in the
            environment.
    """
    read = sorted(map(_read, {*addresses, *_from_environment()}), key=lambda one: len(one.user), reverse=True)
    known = {secret for address in read for secret in _secrets(address)}
    known |= {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    kept: list[str] = []

    def keep(part: str) -> str:
        kept.append(part)
        return f"\0{len(kept) - 1}\0"

    shown = text.replace("\0", "")
    for address in read:  # whose password may hold spaces and quotes, as no other address does
        if address.user:
            shown = shown.replace(f"://{address.user}@", f"://{HIDDEN}@")
    shown = _USER.sub(f"{HIDDEN}@", shown)
    for place in sorted({address.place for address in read if address.place}, key=len, reverse=True):
        at = re.compile(rf"(?<=://)((?:{re.escape(HIDDEN)}@)?){re.escape(place)}(?![.-]?\w)")
        shown = at.sub(lambda found: f"{found[1]}{keep(found[0][len(found[1]) :])}", shown)
    shown = _SCHEME.sub(lambda found: keep(found[0]), shown)
    for secret in sorted(known, key=len, reverse=True):
        for form in {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}:
            if len(form) >= SHORTEST:
                shown = shown.replace(form, HIDDEN)
    shown = _IN_QUERY.sub(rf"\1{HIDDEN}", _BEARER.sub(rf"\1{HIDDEN}", _NAMED.sub(rf"\1{HIDDEN}", shown)))
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], shown)


@dataclass(frozen=True, slots=True)
class _Address:
    """An address, read leniently: it may be the address that is wrong."""

    scheme: str
    user: str
    """What stands before the server: a user name, a password or both; empty: neither."""
    place: str
    """The server, with what follows as far as its query."""
    query: str


def _read(address: str) -> _Address:
    scheme, slashes, rest = address.partition("://")
    place, _, query = (rest if slashes else address).partition("?")
    if "@" not in place:  # a raw `?` in the password
        user, _, place_after = rest.rpartition("@")
        if user:
            place, _, query = place_after.partition("?")
        return _Address(scheme, user, place, query)
    user, _, place = place.rpartition("@")
    return _Address(scheme, user, place, query)


def _from_environment() -> Iterator[str]:
    return (os.environ[name] for name in ADDRESSES if os.environ.get(name))


def _secrets(address: _Address) -> Iterator[str]:
    """What must not be seen of an address even where it stands alone: its password, or its token."""
    name, colon, password = address.user.partition(":")
    if not colon and address.scheme.lower() in SERVERS:
        password = name  # a token; to a database it is a name alone
    yield from (password, unquote(password))
    # A password with a raw `@`, `/` or the like is cut there by whoever reads the address by the rules.
    yield from re.split(r"[@/:?#]", password)
    for pair in address.query.split("&"):
        key, _, value = pair.partition("=")
        if re.fullmatch(_KEY, unquote_plus(key), re.IGNORECASE):
            yield from (value, unquote_plus(value))
