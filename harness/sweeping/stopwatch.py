"""The seconds that count towards a study's time limit."""

from __future__ import annotations

import time
from dataclasses import dataclass

TOLERANCE = 5.0, 0.02
"""By how many seconds, or by which share of it if that is more, a time limit may be overrun at the end."""
ANSWER_SECONDS = 2.0
"""How long a worker that is asked to stop may go on; then it is ended, within its epoch."""
EXIT_SECONDS = 1.0
"""What is kept of the tolerance for the end of the process."""


@dataclass(slots=True)
class Stopwatch:
    """Runs from the beginning of a session, all sessions before included."""

    began: float
    """When the session began, on the monotonic clock: for a command, when its process did."""
    earlier: float = 0.0
    """Seconds of the sessions before."""
    outside: float = 0.0
    """Seconds that do not count: while images were decoded for the first time."""

    @property
    def seconds(self) -> float:
        """So much time the study has taken by now."""
        return self.earlier + self.session

    @property
    def session(self) -> float:
        """So much time the session has taken by now."""
        return time.monotonic() - self.began - self.outside

    def is_past(self, limit: float | None) -> bool:
        """Whether a time limit in seconds, if there is one, is over."""
        return limit is not None and self.seconds > limit

    def closing_deadline(self, limit: float | None) -> float | None:
        """When trackers must be done so that the limit is kept, on the monotonic clock; None without one.

        Args:
            limit: seconds for all sessions together.
        """
        if limit is None:
            return None
        seconds, share = TOLERANCE
        return self.began + self.outside + limit - self.earlier + max(seconds, share * limit) - EXIT_SECONDS
