"""What a scheduler is: told every result at a rung, asked which trial goes on and how far.

Schedulers are pure: they know no clocks, processes or storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    end: int | None = None
    """The epoch of a full training, where it takes further segments to get there; None: `stop`."""


class Scheduler(Protocol):
    """Told every result at a rung, asked for what to do next."""

    @property
    def rungs(self) -> list[int]:
        """The epochs at which trials may pause, the last one that of a full training."""

    def cycles(self, trial: int) -> tuple[int, ...]:
        """The epochs at which the learning rate of the trial comes down, if its schedule is `cycle_per_rung`.

        They ascend, are the same whenever they are asked for, and the last one is that of a full training.
        Wherever the trial pauses to be compared with others, one of them ends; a scheduler that compares
        trials after every epoch has one cycle over all.
        """

    def start(self, trial: int) -> int:
        """A new trial is on its way; returns the epoch at which its first segment ends."""

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """The trial has a result at the epoch where its segment ended; whether that stops it for good."""

    def end(self, trial: int, state: TrialState) -> None:
        """The trial is over and cannot go on; if it failed, its results no longer take a place."""

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """The trial goes on from the rung at `epoch` towards `stop`; `promote_next` has not said so."""

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """The paused trial to go on with, taken as promoted from now on; None: nothing for now.

        `all_started` says that no new trial will start.
        """

    def candidates(self) -> Iterator[Promotion]:
        """Paused trials that are worth training to the end; the most promising first.

        They are not taken as promoted before `mark_promoted` says so.
        """
