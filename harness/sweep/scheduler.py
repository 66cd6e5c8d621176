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

    def first_stop(self, trial: int) -> int:
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

    def first_stop(self, trial: int) -> int:
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

    def first_stop(self, trial: int) -> int:
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


@dataclass(slots=True)
class Screen:
    """Every trial for `min_epochs`; when all have been seen, the best `keep` to the end."""

    min_epochs: int
    max_epochs: int
    keep: int
    _scores: dict[int, float] = field(default_factory=dict)
    _promoted: set[int] = field(default_factory=set)

    def first_stop(self, trial: int) -> int:
        """The end of the screening."""
        return min(self.min_epochs, self.max_epochs)

    def report(self, trial: int, epoch: int, score: float) -> None:
        """Enter a result of the screening."""
        if epoch == self.first_stop(trial) < self.max_epochs and not math.isnan(score):
            self._scores[trial] = score

    def note_promoted(self, trial: int, epoch: int) -> None:
        """The trial went on before a restart."""
        if epoch == self.first_stop(trial):
            self._promoted.add(trial)

    def forget(self, trial: int) -> None:
        """The next best takes its place."""
        self._scores.pop(trial, None)
        self._promoted.discard(trial)

    def promotion(self, *, drained: bool) -> Promotion | None:
        """One of the best, once every trial has been screened."""
        if not drained and not self._promoted:
            return None
        for trial in sorted(self._scores, key=lambda one: (-self._scores[one], one))[: self.keep]:
            if trial not in self._promoted:
                self._promoted.add(trial)
                return Promotion(trial, start=self.first_stop(trial), stop=self.max_epochs)
        return None


class Hyperband:
    """Several brackets of successive halving with promotion (Li et al. 2018, arXiv:1603.06560).

    Bracket b begins at the b-th rung, so that slow starters are judged later in some of them. Trials are
    dealt out in the proportions of the paper, by their numbers alone.
    """

    def __init__(self, min_epochs: int, max_epochs: int, reduction: int) -> None:
        rungs = rung_epochs(min_epochs, max_epochs, reduction)
        self.brackets = [Asha(first, max_epochs, reduction) for first in rungs]
        last = len(rungs) - 1
        shares = [math.ceil((last + 1) / (last - b + 1) * reduction ** (last - b)) for b in range(last + 1)]
        # The bracket that is furthest behind its share gets the next trial.
        given = [0] * len(shares)
        self._turns: list[int] = []
        for _ in range(sum(shares)):
            behind = max(range(len(shares)), key=lambda b: (shares[b] - given[b]) / shares[b])
            given[behind] += 1
            self._turns.append(behind)

    def bracket(self, trial: int) -> Asha:
        """The bracket that a trial belongs to."""
        return self.brackets[self._turns[trial % len(self._turns)]]

    def first_stop(self, trial: int) -> int:
        """The first rung of its bracket."""
        return self.bracket(trial).first_stop(trial)

    def report(self, trial: int, epoch: int, score: float) -> None:
        """Enter a result in its bracket."""
        self.bracket(trial).report(trial, epoch, score)

    def note_promoted(self, trial: int, epoch: int) -> None:
        """Record a promotion made before a restart."""
        self.bracket(trial).note_promoted(trial, epoch)

    def forget(self, trial: int) -> None:
        """Take the trial out of its bracket."""
        self.bracket(trial).forget(trial)

    def promotion(self, *, drained: bool) -> Promotion | None:
        """The first that any bracket has."""
        for bracket in self.brackets:
            if promotion := bracket.promotion(drained=drained):
                return promotion
        return None
