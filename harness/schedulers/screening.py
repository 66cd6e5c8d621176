"""Screening: every trial a little, the best of them to the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from harness.records import TrialState
from harness.schedulers.kind import RungSettings, SchedulerKind
from harness.schedulers.protocol import Promotion, Values
from harness.schedulers.ranking import best_first


@dataclass(slots=True)
class Screen:
    """Every trial for `min_epochs`; when all have been seen, the best `keep` to the end."""

    min_epochs: int
    max_epochs: int
    keep: int
    _results: dict[int, Values] = field(default_factory=dict)
    _promoted: set[int] = field(default_factory=set)
    _over: set[int] = field(default_factory=set)
    _in_flight: set[int] = field(default_factory=set)

    @property
    def _rung(self) -> int:
        return min(self.min_epochs, self.max_epochs)

    @property
    def rungs(self) -> list[int]:
        """The end of the screening, and the last epoch."""
        return sorted({self._rung, self.max_epochs})

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One over the screening, and one over what comes after it."""
        return tuple(self.rungs)

    def start(self, trial: int) -> int:
        """The end of the screening."""
        self._in_flight.add(trial)
        return self._rung

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter a result of the screening."""
        if epoch == self._rung:
            self._in_flight.discard(trial)
            if epoch < self.max_epochs and not any(map(math.isnan, values)):
                self._results[trial] = values
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """A failed one leaves its place to the next best."""
        self._over.add(trial)
        self._in_flight.discard(trial)
        if state == "failed":
            self._results.pop(trial, None)
            self._promoted.discard(trial)

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """The trial goes on."""
        if epoch == self._rung:
            self._promoted.add(trial)

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """One of the best, once every trial has been screened."""
        if not all_started or self._in_flight:
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


class ScreenSettings(RungSettings):
    """How long the screening is, and how many go on after it."""

    kind: Literal["screen"] = "screen"
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """The epochs of the screening."""
    keep: Annotated[int, Field(ge=1)] = 5
    """How many go on after the screening."""


def _build(settings: ScreenSettings, max_epochs: int, _: bool) -> Screen:
    return Screen(settings.min_epochs, max_epochs, settings.keep)


KIND = SchedulerKind(
    about="Every trial a little, then the best of all to the end.",
    settings=ScreenSettings,
    build=_build,
    compares_at_rungs=True,
)
