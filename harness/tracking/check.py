"""Look at the stores while a sweep is prepared: one that can never work is told before any training."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from harness.errors import HarnessError, StoreError
from harness.tracking.store_errors import explain, goes_on
from harness.tracking.tracker import TrackedStudy, TrackerKind
from harness.tracking.trackers import TRACKERS

SECONDS = 5.0
"""Workers take at least so long to start; a store that answers later is one that is away."""


class StoreCheck:
    """Asks every tracker's store, each in a thread of its own, whether it can be written to."""

    def __init__(self, study: TrackedStudy, trackers: Mapping[str, TrackerKind] = TRACKERS) -> None:
        self.study = study
        self._deadline = time.monotonic() + SECONDS
        self._found: dict[str, HarnessError] = {}
        self._threads = [
            threading.Thread(target=self._ask, args=(name, kind, study), name=f"check {name}", daemon=True)
            for name, kind in trackers.items()
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, name: str, kind: TrackerKind, study: TrackedStudy) -> None:
        try:
            kind.check(study)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way
            self._found[name] = explain(error, name)

    def finish(self) -> None:
        """Wait for the answers, for as long as workers take to start anyway, and note what is wrong for now.

        Raises:
            StoreError: a store cannot work as it is set up.
        """
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - time.monotonic()))
        problems = list(self._found.values())
        for problem in problems:
            if isinstance(problem, StoreError):
                raise problem
        for problem in problems:
            self.study.note(goes_on(str(problem)))
