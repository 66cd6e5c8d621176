"""Whether a sweep is to end before its last trial, and how its workers are stopped then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.experiment.experiment import Budget
from harness.study.limits import UsedUp, used_up
from harness.study.state import StudyState
from harness.sweeping.plan import Stop
from harness.sweeping.policy import TimeLeft
from harness.sweeping.refused import Shortage
from harness.sweeping.stopwatch import ANSWER_SECONDS, Stopwatch
from harness.sweeping.workers import Worker, Workers


@dataclass(slots=True)
class Ending:
    """Holds a sweep against its limits."""

    budget: Budget
    state: StudyState
    """The study so far, kept up to date by others."""
    workers: Workers
    clock: Stopwatch
    stop: Stop
    """Why the sweep ends; set here when a limit is reached."""
    note: Callable[[str], None]
    """Told what a person should know."""
    limit: UsedUp | None = None
    """The part of the budget that has ended the sweep."""
    _asked: float | None = None
    """When the workers were asked to stop, on the monotonic clock."""

    def reason(self) -> str | None:
        """Why nothing more is to be begun, as found out now or before; None: the sweep goes on."""
        if self.stop.reason is None:
            self.limit = used_up(self.budget, self.state, self.clock.seconds)
            self.stop.reason = self.limit.reason if self.limit else None
        return self.stop.reason

    @property
    def time_left(self) -> TimeLeft | None:
        """What is left of the time limit; None without one."""
        limit = self.budget.timeout
        if limit is None:
            return None
        return TimeLeft(limit - self.clock.seconds, limit, self.workers.epoch_times.longest or 0.0)

    def by(self, shortage: Shortage | None) -> None:
        """Nothing is left to be handed out: all is done, or what is left needs more time or memory."""
        if shortage is not None:
            self.limit = shortage.used_up(self.budget, self.state, self.workers.number)
            self.stop.reason = self.limit.reason

    def is_over(self) -> bool:
        """Ask the workers to stop, the first time; whether nothing is waited for any more.

        A worker that does not stop within `ANSWER_SECONDS` is not waited for: what it has trained of an epoch
        is discarded in any case. What is written of a training that is over is waited for, unless there is no
        time left; if a limit has ended the sweep, so is whoever has trained all that it was to train.
        """
        if not self.workers.busy or self.stop.immediately:
            return True
        if self._asked is None:
            self._asked = time.monotonic()
            self.workers.stop_all()
            if self.limit is None:
                self.note(
                    "Stopping within the running epochs, which are trained again when the study is resumed. "
                    "Interrupt once more, and nothing is waited for."
                )
        if time.monotonic() - self._asked < ANSWER_SECONDS:
            return False
        if self.limit is None:
            return not any(worker.writing for worker in self.workers.busy)
        left = self.time_left
        out_of_time = left is not None and left.seconds <= 0
        return out_of_time or not any(
            worker.writing or self._is_trained(worker) for worker in self.workers.busy
        )

    def _is_trained(self, worker: Worker) -> bool:
        """Whether all that the worker was to train is trained: ending it now would lose the last epoch."""
        segment = worker.training
        if segment is None:
            return False
        return self.state.trials[segment.trial].last_epoch >= (segment.granted or segment.stop)
