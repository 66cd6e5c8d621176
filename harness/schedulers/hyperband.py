"""Hyperband: brackets of successive halving that begin at different rungs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from harness.records import TrialState
from harness.schedulers.halving import Asha, HalvingSettings, rung_epochs
from harness.schedulers.kind import SchedulerKind
from harness.schedulers.protocol import Promotion, Values


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

    @property
    def rungs(self) -> list[int]:
        """Those of the bracket that begins first."""
        return self.brackets[0].rungs

    def bracket(self, trial: int) -> Asha:
        """The bracket that a trial belongs to."""
        return self.brackets[self._turns[trial % len(self._turns)]]

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One to each rung of its bracket."""
        return self.bracket(trial).cycles(trial)

    def start(self, trial: int) -> int:
        """The first rung of its bracket."""
        return self.bracket(trial).start(trial)

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter a result in its bracket."""
        return self.bracket(trial).report(trial, epoch, values)

    def end(self, trial: int, state: TrialState) -> None:
        """The bracket goes on without it."""
        self.bracket(trial).end(trial, state)

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """Record a promotion."""
        self.bracket(trial).mark_promoted(trial, epoch, stop)

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """The first that any bracket has."""
        for bracket in self.brackets:
            if promotion := bracket.promote_next(all_started=all_started):
                return promotion
        return None

    def candidates(self) -> Iterator[Promotion]:
        """Those of one bracket after the other."""
        for bracket in self.brackets:
            yield from bracket.candidates()


class HyperbandSettings(HalvingSettings):
    """As for successive halving; the brackets begin at all of its rungs."""

    kind: Literal["hyperband"] = "hyperband"  # type: ignore[assignment]


def _build(settings: HyperbandSettings, max_epochs: int, _: bool) -> Hyperband:
    return Hyperband(settings.min_epochs, max_epochs, settings.reduction)


KIND = SchedulerKind(
    about="Several brackets of successive halving, some of which judge later.",
    settings=HyperbandSettings,
    build=_build,
    compares_at_rungs=True,
)
