"""Asynchronous successive halving: a trial pauses at each rung and goes on when it has earned it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from harness.records import TrialState
from harness.schedulers.kind import RungSettings, SchedulerKind
from harness.schedulers.protocol import Promotion, Values
from harness.schedulers.ranking import Ranking


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
    _waiting: dict[int, Ranking] = field(init=False)
    """Of these, the results of the trials that have neither been promoted from there nor ended."""
    _promoted: dict[int, set[int]] = field(init=False)
    _over: set[int] = field(default_factory=set)
    """Trials that cannot go on."""
    _in_flight: dict[int, int] = field(default_factory=dict)
    """The rung that a trial is on its way to."""
    _on_the_way: Counter[int] = field(default_factory=Counter)
    """How many are on their way to a rung."""

    def __post_init__(self) -> None:
        self.rungs = rung_epochs(self.min_epochs, self.max_epochs, self.reduction)
        self._results = {epoch: Ranking() for epoch in self.rungs}
        self._waiting = {epoch: Ranking() for epoch in self.rungs}
        self._promoted = {epoch: set() for epoch in self.rungs}

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One to each rung."""
        return tuple(self.rungs)

    def start(self, trial: int) -> int:
        """The first rung."""
        self._send(trial, self.rungs[0])
        return self.rungs[0]

    def _send(self, trial: int, rung: int | None) -> None:
        """The trial is on its way to this rung, if to any."""
        before = self._in_flight.pop(trial, None)
        if before is not None:
            self._on_the_way[before] -= 1
        if rung is not None:
            self._in_flight[trial] = rung
            self._on_the_way[rung] += 1

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter a result; an epoch that is not a rung (an interrupted segment) decides nothing."""
        if epoch in self._results:
            if self._in_flight.get(trial) == epoch:
                self._send(trial, None)
            if not any(map(math.isnan, values)):
                self._results[epoch].enter(trial, values)
                if trial not in self._promoted[epoch] and trial not in self._over:
                    self._waiting[epoch].enter(trial, values)
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """It is not promoted any more; a failed one leaves its places to the next best."""
        self._over.add(trial)
        self._send(trial, None)
        for waiting in self._waiting.values():
            waiting.remove(trial)
        if state == "failed":
            for epoch in self.rungs:
                self._results[epoch].remove(trial)
                self._promoted[epoch].discard(trial)

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """Record a promotion."""
        if epoch in self._promoted:
            self._promoted[epoch].add(trial)
            self._waiting[epoch].remove(trial)
            self._send(trial, stop)

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """The best trial that has earned it, looking from the highest rung downwards."""
        candidates: list[Promotion] = []
        settled = all_started
        for index, epoch in enumerate(self.rungs[:-1]):
            settled = settled and not self._on_the_way[epoch]
            earned = self._earned(index, settled=settled)
            if earned is not None:
                candidates.append(Promotion(earned, start=epoch, stop=self.rungs[index + 1]))
                settled = False  # the rungs above are to get another result
        if not candidates:
            return None
        chosen = candidates[-1]
        self.mark_promoted(chosen.trial, chosen.start, chosen.stop)
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
        return self._results[epoch].best(share, self._waiting[epoch])


class HalvingSettings(RungSettings):
    """Rungs, and how many go on from each."""

    kind: Literal["asha"] = "asha"
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """The first rung."""
    reduction: Annotated[int, Field(ge=2, le=100)] = 3
    """One in so many goes on from each rung."""


def _build(settings: HalvingSettings, max_epochs: int, _: bool) -> Asha:
    return Asha(settings.min_epochs, max_epochs, settings.reduction)


KIND = SchedulerKind(
    about="Trials pause at rungs, and the best 1/`reduction` of them go on.",
    settings=HalvingSettings,
    build=_build,
    compares_at_rungs=True,
)
