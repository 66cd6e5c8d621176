"""Whether the head of a Ray cluster can be reached.

Where it cannot for a minute, Ray ends the processes that use the cluster, without a word of ours: what is to
be said must be said before.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from harness.engine.ray_connection import ray_module

CLIENT = "ray://"
"""How addresses of Ray Client servers begin."""
LOOK_SECONDS = 5.0
"""How often it is looked, and how long an answer may take."""
SILENT_SECONDS = 20.0
"""After which a head that does not answer is worth a word."""


class HeadWatch:
    """Looks at a cluster's head in the background."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Look at nothing yet.

        Args:
            note: told when the head is silent.
        """
        self._note = note
        self._head = ""
        self._answered = 0.0
        self._told = False
        self._ended = threading.Event()

    def begin(self, address: str | None) -> None:
        """Look at the head of the cluster that this process is connected to.

        A Ray of our own has none elsewhere, and the Ray Client says itself what it has lost.

        Args:
            address: that was asked for.
        """
        if address is not None and not address.startswith(CLIENT):
            self._head = ray_module().get_runtime_context().gcs_address
            self._answered = time.monotonic()
            threading.Thread(target=self._look, name="head", daemon=True).start()

    def check(self) -> None:
        """Say it once if the head has not answered for a while."""
        silent = bool(self._head) and time.monotonic() - self._answered > SILENT_SECONDS
        if silent and not self._told:
            self._note(
                f"The head of the Ray cluster ({self._head}) does not answer. Workers train on meanwhile. If "
                "Ray ends this command, what is durable stays; go on when there is a cluster again: harness "
                "resume"
            )
        self._told = silent

    def close(self) -> None:
        """Look no more."""
        self._ended.set()

    def _look(self) -> None:
        host, _, port = self._head.rpartition(":")
        while not self._ended.wait(LOOK_SECONDS):
            try:
                socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS).close()
            except OSError:
                continue
            self._answered = time.monotonic()
