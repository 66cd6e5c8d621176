"""Who may ask: by the name that the server is called by, the page that asks, and a token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.messages import shown
from harness.serving.server.refusal import Refusal

TOKEN_VARIABLE = "HARNESS_SERVE_TOKEN"  # noqa: S105 - the name of a variable
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing, so that it does not matter which page sends them."""
OPEN = frozenset(
    {"/", "/page.js", "/page.css", "/health", "/health/live", "/health/ready", "/openapi.json", "/docs"}
)
"""What needs no token: it tells nothing of the model but its name."""
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must have to be answered."""

    hosts: frozenset[str]
    """Names in lower case, beside every IP address, that the server may be called by."""
    token_digest: bytes | None = field(default=None, repr=False)
    """SHA-256 of the token; None: none is asked for."""

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Raises Refusal if the request may not be answered."""
        found = {name: value.decode("latin-1") for name, value in headers}
        self._check_host(found.get(b"host"))
        if method not in SAFE_METHODS:
            _check_origin(found.get(b"origin"), found.get(b"host"))
        if self.token_digest is not None and path not in OPEN:
            self._check_token(found.get(b"authorization"))

    def _check_host(self, host: str | None) -> None:
        """A page elsewhere can have its own name lead to this machine, but not change the name it calls."""
        if host is None:  # HTTP/1.0, which no browser speaks
            return
        name = host_name(host)
        if not _is_address(name) and name not in self.hosts:
            raise Refusal(
                403,
                f"This server does not answer to the name {shown(name)}. Call it by its address, or start it "
                "with --allow-host NAME.",
            )

    def _check_token(self, authorization: str | None) -> None:
        assert self.token_digest is not None
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Refusal(
                401,
                "This server asks for a token: send it in a header, Authorization: Bearer TOKEN.",
                {"www-authenticate": "Bearer"},
            )
        if not hmac.compare_digest(_digest(given.strip(" ")), self.token_digest):
            raise Refusal(
                401, "The token is not the right one.", {"www-authenticate": 'Bearer error="invalid_token"'}
            )


def access_to(host: str, allowed: Iterable[str]) -> Access:
    """What requests must have, by the address that the server is bound to and the environment.

    Args:
        host: the address or name that the server is bound to.
        allowed: further names that it may be called by.

    Raises:
        UsageError: the variable with the token has a value that no header can carry.
    """
    names = {"localhost", socket.gethostname(), host, *allowed}
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None:
        return Access(frozenset(map(_plain, names)))
    if not token or not token.isascii() or any(not "!" <= character <= "~" for character in token):
        # The value itself is never repeated.
        raise UsageError(
            f"{TOKEN_VARIABLE} is set, but {'not of printable ASCII characters only' if token else 'empty'}. "
            "Give it a token, or unset it to ask for none."
        )
    return Access(frozenset(map(_plain, names)), _digest(token))


def host_name(host: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    if host.startswith("["):
        return _plain(host.partition("]")[0][1:])
    return _plain(host.rpartition(":")[0] if ":" in host else host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to this address or name."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _check_origin(origin: str | None, host: str | None) -> None:
    """Browsers say which page sends a form or a script's request; only this server's own page may."""
    if origin is None:  # not a browser
        return
    try:
        asking = urlsplit(origin).netloc.lower()
    except ValueError:
        asking = ""
    if not asking or asking != (host or "").lower():
        raise Refusal(403, f"A page of {shown(origin)} may not ask this server.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1")).digest()


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
