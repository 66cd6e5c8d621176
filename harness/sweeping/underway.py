"""Trials that can be trained on: what the rest of each takes, and whether one of them can still be whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.experiment.parameters import unfreezes
from harness.records import Params
from harness.schedulers.protocol import Values
from harness.schedulers.ranking import Ranking
from harness.study.trial import Trial
from harness.sweeping.admission import SAFETY
from harness.sweeping.costs_known import KnownCosts
from harness.sweeping.policy import Outcome, TimeLeft


@dataclass(slots=True)
class Underway:
    """The trials that have begun."""

    costs: KnownCosts
    last: int
    """The epochs of a full training."""
    least: int
    """The epochs with which a training comes to its end."""
    most: float = math.inf
    """Seconds that a trial may train in all."""
    has_whole: bool = False
    """Whether a trial was trained to its end."""
    _params: dict[int, Params] = field(default_factory=dict)
    _seconds: dict[int, float] = field(default_factory=dict)
    """What an epoch took, by trial."""
    _usual: dict[int, float] = field(default_factory=dict)
    """What it usually took."""
    _paused: dict[int, int] = field(default_factory=dict)
    """The epochs at which trials wait to go on."""
    _ranking: Ranking = field(default_factory=Ranking)
    """These trials, by all objectives; without those that have no finite score."""
    _out: dict[int, bool] = field(default_factory=dict)
    """Trials that train, and whether each could be trained to its end when it went out."""

    def begin(self, trial: int, params: Params, left: TimeLeft | None) -> None:
        """A new trial is handed out."""
        self._params[trial] = params
        self.hand_out(trial, 0, left)

    def hand_out(self, trial: int, start: int, left: TimeLeft | None) -> None:
        """The trial trains on from the epoch `start`."""
        self._go(trial)
        self._out[trial] = self._fits(trial, start, left)

    def restore(self, past: Trial, result: Values, left: TimeLeft | None) -> None:
        """Take over a trial of an earlier session, with its objectives where it has paused."""
        self._params[past.number] = past.params
        if past.epoch_seconds is not None and past.usual_epoch_seconds is not None:
            self._seconds[past.number] = past.epoch_seconds
            self._usual[past.number] = past.usual_epoch_seconds
        if past.state == "complete":
            self.has_whole = True
        elif not past.has_ended and past.reached < past.target:
            self.hand_out(past.number, past.reached, left)
        elif not past.has_ended:
            self._pause(past.number, past.reached, result)

    def tell(self, outcome: Outcome) -> None:
        """Take in what came of a segment."""
        self._out.pop(outcome.trial, None)
        self._go(outcome.trial)
        if outcome.seconds is not None:
            self._seconds[outcome.trial] = outcome.seconds
            self._usual[outcome.trial] = outcome.usual_seconds or outcome.seconds
        if outcome.state is None:
            self._pause(outcome.trial, outcome.stop, outcome.values)
        elif outcome.state == "complete":
            self.has_whole = True

    def seconds_to(self, trial: int, start: int, stop: int) -> float | None:
        """Seconds from one epoch of a trial to another: by its own epochs, else by what is known of costs.

        Where its later epochs are dearer than those before, what is known of costs comes first.
        """
        own, params = self._seconds.get(trial), self._params.get(trial)
        alike = params is None or not unfreezes(params)
        if own is not None and alike:
            return SAFETY * (stop - start) * own
        known = self.costs.seconds_to(params, start, stop) if params is not None else None
        if known is None and own is not None:
            known = (stop - start) * own
        return None if known is None else SAFETY * known

    def _pause(self, trial: int, epoch: int, result: Values) -> None:
        self._paused[trial] = epoch
        if all(map(math.isfinite, result)):
            self._ranking.enter(trial, result)

    def _go(self, trial: int) -> None:
        self._paused.pop(trial, None)
        self._ranking.remove(trial)

    def waiting(self) -> Iterator[tuple[int, int]]:
        """The trials that wait to go on and their epochs, best first, whatever these are."""
        ranked = self._ranking.best(len(self._ranking), self._ranking)
        return ((trial, self._paused[trial]) for trial in ranked)

    def epoch_seconds(self, trial: int) -> float:
        """What an epoch of the trial has usually taken; 0 if it is not known."""
        return self._usual.get(trial, 0.0)

    def own_seconds(self, trial: int, start: int) -> float:
        """Seconds that the trial may train from the epoch `start`, by what its epochs have usually taken."""
        return self.most - start * self.epoch_seconds(trial)

    def usual_seconds_to(self, trial: int, start: int, stop: int) -> float | None:
        """As `seconds_to`, by the mean of the trial's own epochs and not by the shortest one."""
        found, own = self.seconds_to(trial, start, stop), self._seconds.get(trial)
        return found * self._usual[trial] / own if found is not None and own else found

    def whole_is_possible(self, left: TimeLeft) -> bool:
        """Whether a trial was trained to its end, or one that has begun can still be, as far as is known."""
        return (
            self.has_whole
            or any(self._out.values())
            or any(self._fits(trial, epoch, left) for trial, epoch in self._paused.items())
        )

    def _fits(self, trial: int, start: int, left: TimeLeft | None) -> bool:
        if left is None:  # then nobody need be asked how long it takes
            return True
        seconds = self.seconds_to(trial, start, max(self.least, start + 1))
        return seconds is None or seconds <= left.seconds
