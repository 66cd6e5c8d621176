"""Which trial trains how far: pure decisions on results, without clocks, processes or storage."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeAlias

from harness.records import TrialState

Values: TypeAlias = tuple[float, ...]
"""One number per objective, all larger-is-better."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A paused trial that earned a further segment."""

    trial: int
    start: int
    stop: int


class Scheduler(Protocol):
    """Told every result at a rung, asked for what to do next."""

    def start(self, trial: int) -> int:
        """A new trial is on its way; returns the epoch at which its first segment ends."""

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """The trial has a result at the epoch where its segment ended; whether that stops it for good."""

    def end(self, trial: int, state: TrialState) -> None:
        """The trial is over and cannot go on; if it failed, its results no longer take a place."""

    def go_on(self, trial: int, epoch: int, stop: int) -> None:
        """The trial goes on from the rung at `epoch` towards `stop`, without `promotion` having said so."""

    def promotion(self, *, all_started: bool) -> Promotion | None:
        """The paused trial to go on with, taken as promoted from now on; None: nothing for now.

        `all_started` says that no new trial will start.
        """

    def candidates(self) -> Iterator[Promotion]:
        """Paused trials that are worth training to the end, which is their `stop`; the most promising first.

        They are not taken as promoted before `go_on` says so.
        """


def best_first(results: Mapping[int, Values]) -> list[int]:
    """Trials from the best to the worst; ties go to the trial that was started first.

    One objective ranks by its value. Several rank by non-dominated fronts, and within a front by
    crowding distance, lonelier first (Deb et al. 2002, NSGA-II).
    """
    if all(len(values) == 1 for values in results.values()):
        return sorted(results, key=lambda trial: (-results[trial][0], trial))
    ranked: list[int] = []
    left = dict(results)
    while left:
        front = [
            trial
            for trial, values in left.items()
            if not any(_dominates(other, values) for other in left.values())
        ]
        distance = _crowding({trial: left[trial] for trial in front})
        ranked += sorted(front, key=lambda trial: (-distance[trial], trial))
        for trial in front:
            del left[trial]
    return ranked


def _dominates(one: Values, other: Values) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def _crowding(front: Mapping[int, Values]) -> dict[int, float]:
    distance = dict.fromkeys(front, 0.0)
    for objective in range(len(next(iter(front.values())))):
        order = sorted(front, key=lambda trial: (front[trial][objective], trial))
        low, high = front[order[0]][objective], front[order[-1]][objective]
        distance[order[0]] = distance[order[-1]] = math.inf
        if high > low:
            for before, trial, after in zip(order, order[1:], order[2:], strict=False):
                gap = front[after][objective] - front[before][objective]
                distance[trial] += gap / (high - low)
    return distance


@dataclass(slots=True)
class Ranking:
    """The results on one rung, kept in order, so that a large study is no slower than a small one."""

    results: dict[int, Values] = field(default_factory=dict)
    _order: list[tuple[float, int]] = field(default_factory=list)
    """With one objective: its negative value and the trial, sorted."""

    def __len__(self) -> int:
        return len(self.results)

    def enter(self, trial: int, values: Values) -> None:
        """Add the trial's result, or replace it."""
        self.remove(trial)
        self.results[trial] = values
        if len(values) == 1:
            insort(self._order, (-values[0], trial))

    def remove(self, trial: int) -> None:
        """Forget the trial's result, if there is one."""
        values = self.results.pop(trial, None)
        if values is not None and len(values) == 1:
            del self._order[bisect_left(self._order, (-values[0], trial))]

    def best(self, count: int) -> Iterable[int]:
        """The best `count` trials, best first, as `best_first` ranks them."""
        if len(self._order) == len(self.results):
            return (trial for _, trial in islice(self._order, count))
        return best_first(self.results)[:count]


@dataclass(slots=True)
class FullTraining:
    """Every trial trains to the end in one segment."""

    max_epochs: int

    def start(self, trial: int) -> int:
        """The last epoch."""
        return self.max_epochs

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Nothing is decided by results."""
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """There is nothing to remember."""

    def go_on(self, trial: int, epoch: int, stop: int) -> None:
        """There are no rungs."""

    def promotion(self, *, all_started: bool) -> Promotion | None:
        """Nothing ever pauses."""
        return None

    def candidates(self) -> Iterator[Promotion]:
        """Nothing ever pauses."""
        return iter(())


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

    A trial pauses at each rung. Whenever a worker is free, a trial that has earned it goes on, from the
    highest rung downwards; only then is a new trial started. Two rules differ from the paper, where every
    early promotion comes on top of the rung's share and is multiplied on the rungs above:

    - While results are still to come, a rung promotes no more trials than its share of the results so far:
      an early promotion that turns out to be wrong uses up a place.
    - The share of rung r is 1/`reduction`^(r+1) of the results on the first rung, as in halving in step.

    When a rung will get no more results, whoever is in its share by then goes on, whatever was promoted
    before, so that the trial that is best on every rung is always trained to the end.
    """

    min_epochs: int
    max_epochs: int
    reduction: int
    rungs: list[int] = field(init=False)
    _results: dict[int, Ranking] = field(init=False)
    """By rung epoch."""
    _promoted: dict[int, set[int]] = field(init=False)
    _over: set[int] = field(default_factory=set)
    """Trials that cannot go on."""
    _heading: dict[int, int] = field(default_factory=dict)
    """The rung that a trial is on its way to."""

    def __post_init__(self) -> None:
        self.rungs = rung_epochs(self.min_epochs, self.max_epochs, self.reduction)
        self._results = {epoch: Ranking() for epoch in self.rungs}
        self._promoted = {epoch: set() for epoch in self.rungs}

    def start(self, trial: int) -> int:
        """The first rung."""
        self._heading[trial] = self.rungs[0]
        return self.rungs[0]

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter a result; an epoch that is not a rung (an interrupted segment) decides nothing."""
        if epoch in self._results:
            if self._heading.get(trial) == epoch:
                del self._heading[trial]
            if not any(map(math.isnan, values)):
                self._results[epoch].enter(trial, values)
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """It is not promoted any more; a failed one leaves its places to the next best."""
        self._over.add(trial)
        self._heading.pop(trial, None)
        if state == "failed":
            for epoch in self.rungs:
                self._results[epoch].remove(trial)
                self._promoted[epoch].discard(trial)

    def go_on(self, trial: int, epoch: int, stop: int) -> None:
        """Record a promotion."""
        if epoch in self._promoted:
            self._promoted[epoch].add(trial)
            self._heading[trial] = stop

    def promotion(self, *, all_started: bool) -> Promotion | None:
        """The best trial that has earned it, looking from the highest rung downwards."""
        candidates: list[Promotion] = []
        settled = all_started
        for index, epoch in enumerate(self.rungs[:-1]):
            settled = settled and epoch not in self._heading.values()
            earned = self._earned(index, settled=settled)
            if earned is not None:
                candidates.append(Promotion(earned, start=epoch, stop=self.rungs[index + 1]))
                settled = False  # the rungs above are to get another result
        if not candidates:
            return None
        chosen = candidates[-1]
        self._promoted[chosen.start].add(chosen.trial)
        self._heading[chosen.trial] = chosen.stop
        return chosen

    def candidates(self) -> Iterator[Promotion]:
        """Whoever is in the share of its rung so far, from the highest rung downwards."""
        for index in reversed(range(len(self.rungs) - 1)):
            epoch = self.rungs[index]
            for trial in self._in_share(index, max(1, self._share(index))):
                yield Promotion(trial, start=epoch, stop=self.max_epochs)

    def _earned(self, index: int, *, settled: bool) -> int | None:
        """The best of the trials waiting on a rung that may go on."""
        epoch, share = self.rungs[index], self._share(index)
        if settled:
            # A small study must still bring its best trial to the end.
            share = max(share, 1)
        else:
            share = min(share, len(self._results[epoch]) // self.reduction)
            if len(self._promoted[epoch]) >= share:
                return None
        return next(self._in_share(index, share), None)

    def _share(self, index: int) -> int:
        """How many trials of a rung may go on, by the results on the first rung so far."""
        part: int = self.reduction ** (index + 1)
        return len(self._results[self.rungs[0]]) // part

    def _in_share(self, index: int, share: int) -> Iterator[int]:
        """Of the best `share` trials on a rung, those that wait there, best first."""
        epoch = self.rungs[index]
        for trial in self._results[epoch].best(share):
            if trial not in self._promoted[epoch] and trial not in self._over:
                yield trial


@dataclass(slots=True)
class Screen:
    """Every trial for `min_epochs`; when all have been seen, the best `keep` to the end."""

    min_epochs: int
    max_epochs: int
    keep: int
    _results: dict[int, Values] = field(default_factory=dict)
    _promoted: set[int] = field(default_factory=set)
    _over: set[int] = field(default_factory=set)
    _heading: set[int] = field(default_factory=set)

    @property
    def _rung(self) -> int:
        return min(self.min_epochs, self.max_epochs)

    def start(self, trial: int) -> int:
        """The end of the screening."""
        self._heading.add(trial)
        return self._rung

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter a result of the screening."""
        if epoch == self._rung:
            self._heading.discard(trial)
            if epoch < self.max_epochs and not any(map(math.isnan, values)):
                self._results[trial] = values
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """A failed one leaves its place to the next best."""
        self._over.add(trial)
        self._heading.discard(trial)
        if state == "failed":
            self._results.pop(trial, None)
            self._promoted.discard(trial)

    def go_on(self, trial: int, epoch: int, stop: int) -> None:
        """The trial goes on."""
        if epoch == self._rung:
            self._promoted.add(trial)

    def promotion(self, *, all_started: bool) -> Promotion | None:
        """One of the best, once every trial has been screened."""
        if not all_started or self._heading:
            return None
        promotion = next(self.candidates(), None)
        if promotion is not None:
            self._promoted.add(promotion.trial)
        return promotion

    def candidates(self) -> Iterator[Promotion]:
        """The best so far that have not gone on."""
        for trial in best_first(self._results)[: self.keep]:
            if trial not in self._promoted and trial not in self._over:
                yield Promotion(trial, start=self._rung, stop=self.max_epochs)


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

    def start(self, trial: int) -> int:
        """The first rung of its bracket."""
        return self.bracket(trial).start(trial)

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter a result in its bracket."""
        return self.bracket(trial).report(trial, epoch, values)

    def end(self, trial: int, state: TrialState) -> None:
        """The bracket goes on without it."""
        self.bracket(trial).end(trial, state)

    def go_on(self, trial: int, epoch: int, stop: int) -> None:
        """Record a promotion."""
        self.bracket(trial).go_on(trial, epoch, stop)

    def promotion(self, *, all_started: bool) -> Promotion | None:
        """The first that any bracket has."""
        for bracket in self.brackets:
            if promotion := bracket.promotion(all_started=all_started):
                return promotion
        return None

    def candidates(self) -> Iterator[Promotion]:
        """Those of one bracket after the other."""
        for bracket in self.brackets:
            yield from bracket.candidates()
