"""Text that can be shown: without passwords, tokens and keys, whoever wrote it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SHORTEST = 4
"""A shorter secret is only hidden where the text says that it is one: it would be found in any sentence."""
ADDRESSES = ("MLFLOW_TRACKING_URI", "HARNESS_STORAGE")
_KEY = (
    r"[\w.-]*(?:passw(?:or)?d|passwd|pwd|token|secret|api[_-]?key|access[_-]?key|signature|credential)[\w.-]*"
)
_USER = re.compile(r"(?<=://)[^\s\"']*@")
_NAMED = re.compile(rf"\b({_KEY}\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s&;,\"')]+)", re.IGNORECASE)
_BEARER = re.compile(r"\b((?:Bearer|Basic)\s+)[\w+/=.~-]{8,}")
_SECRET_NAME = re.compile(r"(?:PASSWORD|TOKEN|SECRET|SECRET_ACCESS_KEY|API_KEY)$")


def without_secrets(text: str, *addresses: str) -> str:
    """The text with everything hidden that is a secret, or looks like one.

    Args:
        text: what is to be shown, such as another library's error.
        addresses: URIs whose user names, passwords and queries must not be seen, besides those in the
            environment.
    """
    known = {secret for address in (*addresses, *_from_environment()) for secret in _secrets(address)}
    known |= {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    shown = _USER.sub(f"{HIDDEN}@", text)
    for secret in sorted(known, key=len, reverse=True):
        for form in {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}:
            if len(form) >= SHORTEST:
                shown = shown.replace(form, HIDDEN)
    return _BEARER.sub(rf"\1{HIDDEN}", _NAMED.sub(rf"\1{HIDDEN}", shown))


def _from_environment() -> Iterator[str]:
    return (os.environ[name] for name in ADDRESSES if os.environ.get(name))


def _secrets(address: str) -> Iterator[str]:
    """Passwords in an address, read leniently: it may be the address that is wrong."""
    _, _, rest = address.partition("://")
    authority, _, query = (rest or address).partition("?")
    if "@" not in authority:
        authority = rest  # a raw `?` in the password
    user, at, _ = authority.rpartition("@")
    if at:
        password = user.partition(":")[2] if ":" in user else user
        yield from (password, unquote(password))
        # A password with a raw `@`, `/` or the like is cut there by whoever reads the address by the rules.
        yield from re.split(r"[@/:?#]", password)
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if re.fullmatch(_KEY, name, re.IGNORECASE):
            yield from (value, unquote_plus(value))
