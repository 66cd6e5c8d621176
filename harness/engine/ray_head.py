"""Whether the head of a Ray cluster can be reached.

Where it cannot for a minute, Ray ends the processes that use the cluster, without a word of ours: what is to
be said must be said before.
"""

from __future__ import annotations

import socket
import threading
import time

LOOK_SECONDS = 5.0
"""How often it is looked, and how long an answer may take."""
SILENT_SECONDS = 20.0
"""After which a head that does not answer is worth a word."""


class HeadWatch:
    """Looks at a cluster's head in the background."""

    def __init__(self, address: str) -> None:
        """Begin.

        Args:
            address: of the head, `HOST:PORT`.
        """
        self.address = address
        self._answered = time.monotonic()
        self._told = False
        self._ended = threading.Event()
        threading.Thread(target=self._look, name="head", daemon=True).start()

    def fell_silent(self) -> bool:
        """Whether it has not answered for a while; true once in each such while."""
        silent = time.monotonic() - self._answered > SILENT_SECONDS
        news, self._told = silent and not self._told, silent
        return news

    def close(self) -> None:
        """Look no more."""
        self._ended.set()

    def _look(self) -> None:
        host, _, port = self.address.rpartition(":")
        while not self._ended.wait(LOOK_SECONDS):
            try:
                socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS).close()
            except OSError:
                continue
            self._answered = time.monotonic()
