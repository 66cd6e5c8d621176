"""No scheduling: every trial is trained to the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.records import TrialState
from harness.schedulers.kind import SchedulerKind, SchedulerSettings
from harness.schedulers.protocol import Promotion, Values


@dataclass(slots=True)
class FullTraining:
    """Every trial trains to the end in one segment."""

    max_epochs: int

    @property
    def rungs(self) -> list[int]:
        """The last epoch."""
        return [self.max_epochs]

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One over the whole training."""
        return (self.max_epochs,)

    def start(self, trial: int) -> int:
        """The last epoch."""
        return self.max_epochs

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Nothing is decided by results."""
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """There is nothing to remember."""

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """There are no rungs."""

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """Nothing ever pauses."""
        return None

    def candidates(self) -> Iterator[Promotion]:
        """Nothing ever pauses."""
        return iter(())


class FullSettings(SchedulerSettings):
    """There is nothing to set."""

    kind: Literal["none"] = "none"


KIND = SchedulerKind(
    about="Every trial is trained to the end.",
    settings=FullSettings,
    build=lambda _, max_epochs, _maximize: FullTraining(max_epochs),
)
