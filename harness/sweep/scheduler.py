"""Which trial trains how far: pure decisions on results, without clocks, processes or storage."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Promotion:
    """A paused trial that earned a further segment."""

    trial: int
    start: int
    stop: int


class Scheduler(Protocol):
    """Told every result at a rung, asked for what to do next. Scores are larger-is-better."""

    @property
    def first_stop(self) -> int:
        """The epoch at which a new trial's first segment ends."""

    def report(self, trial: int, epoch: int, score: float) -> None:
        """The trial has a result at the epoch where its segment ended."""

    def note_promoted(self, trial: int, epoch: int) -> None:
        """The trial went on from this rung before a restart."""

    def forget(self, trial: int) -> None:
        """The trial failed: its results no longer take a place."""

    def promotion(self, *, drained: bool) -> Promotion | None:
        """The paused trial to go on with, which is taken as promoted from now on.

        `drained` says that no new trial will start and none is running, so that every rung has all
        the results it will get for now.
        """


@dataclass(slots=True)
class FullTraining:
    """Every trial trains to the end in one segment."""

    max_epochs: int

    @property
    def first_stop(self) -> int:
        """The last epoch."""
        return self.max_epochs

    def report(self, trial: int, epoch: int, score: float) -> None:
        """Nothing is decided by results."""

    def note_promoted(self, trial: int, epoch: int) -> None:
        """There are no rungs."""

    def forget(self, trial: int) -> None:
        """There is nothing to forget."""

    def promotion(self, *, drained: bool) -> Promotion | None:
        """Nothing ever pauses."""
        return None


def rung_epochs(min_epochs: int, max_epochs: int, reduction: int) -> list[int]:
    """The epochs at which trials are compared, the last of them `max_epochs`.

    Rungs grow by the factor `reduction` from `min_epochs`; a last step that would be shorter than half
    the factor is merged into the one before.
    """
    rungs = []
    epoch = min(min_epochs, max_epochs)
    while epoch * math.sqrt(reduction) <= max_epochs and epoch < max_epochs:
        rungs.append(epoch)
        epoch *= reduction
    return [*rungs, max_epochs]


@dataclass(slots=True)
class Asha:
    """Asynchronous successive halving with promotion (Li et al. 2020, arXiv:1810.05934).

    A trial pauses at each rung. Whenever a worker is free, the best trial that is among the top
    1/`reduction` of its rung and has not been promoted yet goes on, from the highest rung downwards;
    only then is a new trial started. Ties go to the trial that was started first.
    """

    min_epochs: int
    max_epochs: int
    reduction: int
    rungs: list[int] = field(init=False)
    _scores: dict[int, dict[int, float]] = field(init=False)
    """Results by rung epoch and trial."""
    _promoted: dict[int, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.rungs = rung_epochs(self.min_epochs, self.max_epochs, self.reduction)
        self._scores = {epoch: {} for epoch in self.rungs}
        self._promoted = {epoch: set() for epoch in self.rungs}

    @property
    def first_stop(self) -> int:
        """The first rung."""
        return self.rungs[0]

    def report(self, trial: int, epoch: int, score: float) -> None:
        """Enter a result; an epoch that is not a rung (an interrupted segment) decides nothing."""
        if epoch in self._scores and not math.isnan(score):
            self._scores[epoch][trial] = score

    def note_promoted(self, trial: int, epoch: int) -> None:
        """Record a promotion made before a restart."""
        if epoch in self._promoted:
            self._promoted[epoch].add(trial)

    def forget(self, trial: int) -> None:
        """Take the trial out of every rung, so that the next best can have its place."""
        for epoch in self.rungs:
            self._scores[epoch].pop(trial, None)
            self._promoted[epoch].discard(trial)

    def promotion(self, *, drained: bool) -> Promotion | None:
        """The best trial that has earned it, looking from the highest rung downwards."""
        for index in range(len(self.rungs) - 2, -1, -1):
            epoch = self.rungs[index]
            scores, promoted = self._scores[epoch], self._promoted[epoch]
            places = len(scores) // self.reduction
            if drained and scores:
                # A small study must still bring its best trial to the end.
                places = max(places, 1)
            ranked = sorted(scores, key=lambda trial: (-scores[trial], trial))[:places]
            for trial in ranked:
                if trial not in promoted:
                    promoted.add(trial)
                    return Promotion(trial, start=epoch, stop=self.rungs[index + 1])
        return None
