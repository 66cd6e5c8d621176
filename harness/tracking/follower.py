"""Keep a view up to date from a thread of its own, so that tracking is never on the training path."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.records import LogRecord

BATCH_SECONDS = 1.0
"""Records gather for so long at least before they are written together,"""
SHARE = 0.05
"""and for so long that writing takes this share of the time, since the same cores train,"""
LONGEST_SECONDS = 5.0
"""but for no longer than this: people watch."""
BEHIND_SHARE = 0.5
"""The share of the time for writing while there is more than fits into one batch. Not all of it: the thread
that hands out segments waits for the interpreter meanwhile."""
LARGEST_BATCH = 500
"""Records that are written together at most, so that there is progress to see."""
FIRST_BATCH = 20
"""The same after a failure: a server that is back may be slow."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
_PASSWORD = re.compile(r"://[^/@\s]+@")


class View(Protocol):
    """Something that is brought up to date from the event log, idempotently."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say; they come in order, and may come again after an error."""


@dataclass(frozen=True, slots=True)
class FollowerResult:
    """How far a view has come."""

    caught_up: bool
    message: str
    """A sentence, if it has not."""


class Follower:
    """Feeds a view; when it fails, waits and tries again, for as long as the sweep lasts."""

    def __init__(self, make_view: Callable[[], View], name: str) -> None:
        self._make_view = make_view
        self._name = name
        self._waiting: list[LogRecord] = []
        self._changed = threading.Condition()
        self._closing = False
        self._deadline = float("inf")
        self._error = ""
        self._succeeded = 0.0
        """When a batch was last written, monotonic seconds."""
        self._thread = threading.Thread(target=self._follow, name=f"follow {name}", daemon=True)
        self._thread.start()

    def feed(self, record: LogRecord) -> None:
        """Queue a record; never blocks and never raises."""
        with self._changed:
            self._waiting.append(record)
            self._changed.notify()

    def close(self, limits: Callable[[], tuple[float, float]]) -> FollowerResult:
        """Write what is left.

        Args:
            limits: asked again and again, for the seconds after which a view that fails is given up,
                and those after which one that is only slow is.
        """
        began = time.monotonic()
        with self._changed:
            self._closing = True
            self._deadline = began + limits()[1]
            self._changed.notify()
        while self._thread.is_alive():
            self._thread.join(0.05)
            now = time.monotonic()
            patience, limit = limits()
            if now - began > limit or (self._error and now - max(began, self._succeeded) > patience):
                break
        if not self._waiting:
            return FollowerResult(True, "")
        reason = self._error or "it is too slow"
        return FollowerResult(
            False, f"{self._name} is {len(self._waiting)} records behind: {reason.rstrip('.')}."
        )

    def _follow(self) -> None:
        view: View | None = None
        pause, most = FIRST_PAUSE, LARGEST_BATCH
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                batch = self._waiting[:most]
            began = time.monotonic()
            try:
                view = view or self._make_view()
                view.apply(batch)
            except Exception as error:  # noqa: BLE001 - a server may fail in any way; the sweep goes on
                self._error = without_passwords(f"{type(error).__name__}: {error}".split("\n", 1)[0])
                if time.monotonic() + pause > self._deadline:
                    return
                self._rest(pause)
                pause, most = min(2 * pause, LONGEST_PAUSE), FIRST_BATCH
                continue
            pause, self._error, self._succeeded = FIRST_PAUSE, "", time.monotonic()
            with self._changed:
                del self._waiting[: len(batch)]
            seconds = time.monotonic() - began
            if len(batch) < most:
                self._rest(min(max(BATCH_SECONDS, seconds / SHARE), LONGEST_SECONDS))
            else:
                self._rest(min(seconds / BEHIND_SHARE - seconds, LONGEST_SECONDS))
            most = min(2 * most, LARGEST_BATCH)

    def _rest(self, seconds: float) -> None:
        """Wait, unless the end has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=seconds)
        if self._closing and self._error:
            time.sleep(min(seconds, FIRST_PAUSE))


def without_passwords(text: str) -> str:
    """The text with `user:password@` in addresses made unreadable."""
    return _PASSWORD.sub("://***@", text)
