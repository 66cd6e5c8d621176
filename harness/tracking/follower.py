"""Keep a view up to date from a thread of its own, so that tracking is never on the training path."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.records import LogRecord
from harness.tracking.store_errors import explain, goes_on

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
TOLD_AFTER = 2
"""Failures in a row after which a person is told."""


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

    def __init__(
        self,
        make_view: Callable[[], View],
        name: str,
        *,
        durable: Callable[[], float] = lambda: math.inf,
        replay: Callable[[], Sequence[LogRecord]] | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start the thread.

        Args:
            make_view: makes the view, from the thread.
            name: of what the view writes to, for sentences.
            durable: the number of the last record that no power cut can take from the log any more; a view
                that knew of later ones would know of what never happened.
            replay: reads the log from its first record, for a view that begins anew after an error. None:
                what has been fed is kept in memory.
            note: told once of each reason why the view fails.
        """
        self._make_view = make_view
        self._name = name
        self._durable = durable
        self._replay = replay
        self._note = told_once(note)
        self._kept: list[LogRecord] = []
        """What has been fed; the first record only, if the log can be read again."""
        self._waiting: list[LogRecord] = []
        self._changed = threading.Condition()
        self._closing = False
        self._closed = False
        """Nobody waits for the view any more, or listens."""
        self._deadline = float("inf")
        self._error = ""
        self._failures = 0
        """In a row."""
        self._succeeded = 0.0
        """When a batch was last written, monotonic seconds."""
        self._thread = threading.Thread(target=self._follow, name=f"follow {name}", daemon=True)
        self._thread.start()

    def feed(self, record: LogRecord) -> None:
        """Queue a record; never blocks and never raises."""
        with self._changed:
            if record.seq == 1 or self._replay is None:
                self._kept.append(record)
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
        self._closed = True
        behind = len(self._ready(len(self._waiting)))
        if not behind:
            return FollowerResult(True, "")
        reason = self._error or "it is too slow"
        return FollowerResult(False, f"{self._name} is {behind} records behind: {reason.rstrip('.')}.")

    def _follow(self) -> None:
        view: View | None = None
        pause, most = FIRST_PAUSE, LARGEST_BATCH
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready(1) or self._closing)
                batch = self._ready(most)
                if not batch:
                    return
            began = time.monotonic()
            try:
                view = view or self._make_view()
                if self._failures:
                    self._begin_anew(view, batch[0].seq)
                view.apply(batch)
            except Exception as error:  # noqa: BLE001 - a server may fail in any way; the sweep goes on
                self._failed(error)
                if time.monotonic() + pause > self._deadline:
                    return
                self._rest(pause)
                pause, most = min(2 * pause, LONGEST_PAUSE), FIRST_BATCH
                continue
            pause, self._error, self._succeeded, self._failures = FIRST_PAUSE, "", time.monotonic(), 0
            with self._changed:
                del self._waiting[: len(batch)]
            seconds = time.monotonic() - began
            if len(batch) < most:
                self._rest(min(max(BATCH_SECONDS, seconds / SHARE), LONGEST_SECONDS))
            else:
                self._rest(min(seconds / BEHIND_SHARE - seconds, LONGEST_SECONDS))
            most = min(2 * most, LARGEST_BATCH)

    def _ready(self, most: int) -> list[LogRecord]:
        """The next records that may be told."""
        durable = self._durable()
        return [record for record in self._waiting[:most] if record.seq <= durable]

    def _begin_anew(self, view: View, until: int) -> None:
        """Give the view what it has had before the record `until`; the first one shows whether it is back."""
        if not self._kept or self._kept[0].seq >= until:
            return
        view.apply(self._kept[:1])
        log = self._replay() if self._replay is not None else self._kept
        earlier = [record for record in log if self._kept[0].seq < record.seq < until]
        for start in range(0, len(earlier), LARGEST_BATCH):
            view.apply(earlier[start : start + LARGEST_BATCH])

    def _failed(self, error: Exception) -> None:
        self._error = str(explain(error, self._name))
        self._failures += 1
        # What fails once and never again is nobody's business.
        if self._failures >= TOLD_AFTER and not self._closed:
            self._note(goes_on(self._error))

    def _rest(self, seconds: float) -> None:
        """Wait, unless the end has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=seconds)
        if self._closing and self._error:
            time.sleep(min(seconds, FIRST_PAUSE))


def told_once(note: Callable[[str], None]) -> Callable[[str], None]:
    """The same, but a sentence that was told is not told again, from whichever thread."""
    told: set[str] = set()
    lock = threading.Lock()

    def tell(sentence: str) -> None:
        with lock:
            if sentence in told:
                return
            told.add(sentence)
        note(sentence)

    return tell
