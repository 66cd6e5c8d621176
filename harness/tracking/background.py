"""Keep a tracker up to date from a thread of its own, so that tracking is never on the training path."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.records import LogRecord
from harness.tracking.notes import told_once
from harness.tracking.store_errors import explain, goes_on
from harness.tracking.tracker import Tracker

BATCH_SECONDS = 1.0
"""Records gather for at least so long before they are written together."""
SHARE = 0.05
"""Records gather until writing takes at most this share of the time, since the same cores train."""
LONGEST_SECONDS = 5.0
"""Records gather for no longer than this, whatever writing takes, since people watch."""
BEHIND_SHARE = 0.5
"""The share of the time for writing while there is more than fits into one batch. Not all of it: the thread
that hands out segments waits for the interpreter meanwhile."""
LARGEST_BATCH = 500
"""Records that are written together at most, so that there is progress to see."""
FIRST_BATCH = 20
"""Records that are written together after a failure, at first: a server that is back may be slow."""
FIRST_PAUSE = 1.0
"""Seconds until the next try after a first failure; they double with each further one."""
LONGEST_PAUSE = 30.0
"""Seconds between two tries, at most."""
TOLD_AFTER = 2
"""Failures in a row after which a person is told."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How far a tracker has come."""

    caught_up: bool
    message: str
    """A sentence for people if the tracker has not caught up; else empty."""


class BackgroundTracker:
    """Feeds a tracker; when it fails, waits and tries again, for as long as the sweep lasts."""

    def __init__(
        self,
        make_tracker: Callable[[], Tracker],
        name: str,
        *,
        durable: Callable[[], float] = lambda: math.inf,
        replay: Callable[[], Sequence[LogRecord]] | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start the thread.

        Args:
            make_tracker: makes the tracker, from the thread.
            name: of what the tracker writes to, for sentences.
            durable: the number of the last record that no power cut can take from the log any more; a tracker
                that knew of later ones would know of what never happened.
            replay: reads the log from its first record, for a tracker that begins anew after an error. None:
                what has been fed is kept in memory.
            note: told once of each reason why the tracker fails.
        """
        self._make_tracker = make_tracker
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
        """Nobody waits for the tracker any more, or listens."""
        self._deadline = float("inf")
        self._error = ""
        self._failures = 0
        """How many times in a row the tracker has failed."""
        self._succeeded = 0.0
        """When a batch was last written, monotonic seconds."""
        self._thread = threading.Thread(target=self._run, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def feed(self, record: LogRecord) -> None:
        """Queue a record; never blocks and never raises."""
        with self._changed:
            if record.seq == 1 or self._replay is None:
                self._kept.append(record)
            self._waiting.append(record)
            self._changed.notify()

    def close(self, limits: Callable[[], tuple[float, float]]) -> CatchUp:
        """Write what is left.

        Args:
            limits: asked repeatedly, for the seconds after which a tracker that fails is given up,
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
            return CatchUp(True, "")
        reason = self._error or "it is too slow"
        return CatchUp(False, f"{self._name} is {behind} records behind: {reason.rstrip('.')}.")

    def _run(self) -> None:
        tracker: Tracker | None = None
        pause, most = FIRST_PAUSE, LARGEST_BATCH
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready(1) or self._closing)
                batch = self._ready(most)
                if not batch:
                    return
            began = time.monotonic()
            try:
                tracker = tracker or self._make_tracker()
                if self._failures:
                    self._begin_anew(tracker, batch[0].seq)
                tracker.apply(batch)
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

    def _begin_anew(self, tracker: Tracker, until: int) -> None:
        """Give the tracker what it had before the record `until`; the first one shows whether it is back."""
        if not self._kept or self._kept[0].seq >= until:
            return
        tracker.apply(self._kept[:1])
        log = self._replay() if self._replay is not None else self._kept
        earlier = [record for record in log if self._kept[0].seq < record.seq < until]
        for start in range(0, len(earlier), LARGEST_BATCH):
            tracker.apply(earlier[start : start + LARGEST_BATCH])

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
