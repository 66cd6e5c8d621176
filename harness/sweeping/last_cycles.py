"""The last part of a time limit: the best trials that wait are trained down to rate zero in the time left.

A worker's last segment takes a paused trial to as late an epoch as the rest of the limit allows, at what its
epochs have taken, and its learning rate to 0 by then. The best of those that wait come first, whatever rung
they wait on. A trial that has a time limit of its own is taken no farther than that allows. The part lasts as
long as the best one needs to its end, but not longer than a `PART` of the limit, or than it needs to its next
rung where that is longer. So it is known from costs alone when it begins.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.schedulers.protocol import Promotion, Scheduler
from harness.sweeping.policy import TimeLeft
from harness.sweeping.underway import Underway

PART = 1 / 4
"""The part of a time limit that a trial's last epochs take, if its end is not nearer."""
MARGIN = 1.1
"""How many times as long as its epochs so far a last segment is planned: what is not at its end at the limit
has been for nothing, and what is left free goes to the next."""
LEAST = 3
"""How many times the epochs of the first rung make a training that is worth to be begun."""
KEPT = 0.5
"""The part of these seconds that is kept free for them when anything else is begun shortly before."""


def least_epochs(rungs: Sequence[int]) -> int:
    """The epochs with which a training that may be shortened comes to its end."""
    return min(LEAST * rungs[0], rungs[-1])


@dataclass(frozen=True, slots=True)
class LastCycles:
    """Decides which trial is trained to its end early, when, and how far."""

    scheduler: Scheduler
    underway: Underway

    def due(self, left: TimeLeft) -> Promotion | None:
        """The best trial that waits and can be trained on in time, if it is time for it."""
        best = self.best(left)
        if best is None:
            return None
        # Another segment may take as long as the longest epoch.
        another = max(left.longest_epoch, self.underway.epoch_seconds(best.trial))
        free = left.seconds - self._beside(best.trial, left) - another
        return best if free <= self._seconds(best, left) else None

    def best(self, left: TimeLeft) -> Promotion | None:
        """The best trial that waits and can be trained on in time, as far as that; None if there is none."""
        for trial, start in self.underway.waiting():
            stop = min(self.farthest(trial, start, left), self._end(trial, start, left))
            if stop > start:
                return Promotion(trial, start, stop)
        return None

    def kept(self, left: TimeLeft) -> float:
        """Seconds that are to be left for the best trial after anything else that is begun before it."""
        best = self.best(left)
        return KEPT * self._seconds(best, left) if best is not None else 0.0

    def farthest(self, trial: int, start: int, left: TimeLeft) -> int:
        """The last epoch that a trial can be trained to in time from the epoch `start`; `start` if none."""
        free = left.seconds - self._beside(trial, left)
        later = range(start + 1, self.underway.last + 1)
        return start + bisect_right(later, free, key=lambda stop: self._takes(trial, start, stop))

    def _seconds(self, best: Promotion, left: TimeLeft) -> float:
        """How long the trial's last epochs are to take."""
        end = self._end(best.trial, best.start, left)
        rungs = (rung for rung in self.scheduler.cycles(best.trial) if best.start < rung < end)
        to_the_rung, to_the_end = (
            self._takes(best.trial, best.start, stop) for stop in (next(rungs, end), end)
        )
        return max(to_the_rung, min(to_the_end, PART * left.limit))

    def _end(self, trial: int, start: int, left: TimeLeft) -> int:
        """The last epoch that a trial's own limit allows, whatever is left of the study's."""
        own = self.underway.own_seconds(trial, start)
        if own == math.inf:
            return self.underway.last
        return self.farthest(trial, start, replace(left, seconds=own))

    def _takes(self, trial: int, start: int, stop: int) -> float:
        """Seconds to be planned from one epoch of a trial to another; infinite where nothing is known."""
        found = self.underway.usual_seconds_to(trial, start, stop)
        return math.inf if found is None else MARGIN * found

    def _beside(self, trial: int, left: TimeLeft) -> float:
        """Seconds for compiling, on a worker that has not trained this trial before; forecasts have them."""
        own = self.underway.epoch_seconds(trial)
        return max(0.0, left.longest_epoch - own) if own else 0.0
