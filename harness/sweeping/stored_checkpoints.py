"""Checkpoints in an object store, which are removed as soon as no trial can go on from them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from harness.errors import UnreachableError
from harness.paths.study import CHECKPOINTS, TRIALS
from harness.records import CheckpointSaved, LogRecord, TrialEnded
from harness.study.state import StudyState
from harness.study_files import BucketFiles

AWAY_SECONDS = 60.0
"""How long a store that was away is left alone."""


class StoredCheckpoints:
    """Follows a study's log, and removes in a thread of its own what the log makes superfluous."""

    def __init__(self, place: str, state: StudyState) -> None:
        """Begin with the study as it is.

        Args:
            place: the URL of the study's files.
            state: the study; brought up to date with every record before `on_record` hears of it.
        """
        self._files, self._state = BucketFiles(place), state
        self._known = {number: self._needed(number) for number in state.trials}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._away_until = 0.0
        """On the monotonic clock, when it is looked again whether the store is back."""

    def on_record(self, record: LogRecord) -> None:
        """Remove what the event has made superfluous."""
        event = record.event
        if not isinstance(event, CheckpointSaved | TrialEnded):
            return
        needed = self._needed(event.trial)
        for name in self._known.get(event.trial, set()) - needed:
            self._thread.submit(self._remove, name)
        self._known[event.trial] = needed

    def close(self) -> None:
        """Remove what is left over besides, such as checkpoints of workers that were lost before they could
        tell of them; if the store is away, the next session does it."""
        self._thread.submit(self._tidy).exception()
        self._thread.shutdown()

    def _needed(self, number: int) -> set[str]:
        trial = self._state.trials[number]
        return set() if trial.has_ended else {checkpoint.file for checkpoint in trial.checkpoints}

    def _remove(self, name: str) -> None:
        if time.monotonic() < self._away_until:
            return  # it goes at the end
        try:
            self._files.remove(name)
        except UnreachableError:
            self._away_until = time.monotonic() + AWAY_SECONDS

    def _tidy(self) -> None:
        needed = {name for number in self._state.trials for name in self._needed(number)}
        with suppress(UnreachableError):
            for name in self._files.names_below(TRIALS, CHECKPOINTS):
                if name not in needed:
                    self._files.remove(name)
