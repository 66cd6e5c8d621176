"""Every trial in two segments, the second of which it always gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from harness.records import TrialState
from harness.schedulers.kind import SchedulerKind, SchedulerSettings
from harness.schedulers.protocol import Promotion, Values


@dataclass(slots=True)
class Halfway:
    """Pauses every trial once."""

    max_epochs: int
    _paused: list[int] = field(default_factory=list)

    @property
    def rungs(self) -> list[int]:
        """Half of the epochs, and all."""
        return [self.max_epochs // 2, self.max_epochs]

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One to each pause."""
        return tuple(self.rungs)

    def start(self, trial: int) -> int:
        """Half of the epochs."""
        return self.rungs[0]

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Let it wait."""
        if epoch == self.rungs[0]:
            self._paused.append(trial)
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """It does not wait any more."""
        if trial in self._paused:
            self._paused.remove(trial)

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """It has gone on."""
        self._paused.remove(trial)

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """The one that waits longest."""
        for found in self.candidates():
            self._paused.remove(found.trial)
            return found
        return None

    def candidates(self) -> Iterator[Promotion]:
        """Those that wait."""
        return (Promotion(trial, *self.rungs) for trial in list(self._paused))


class HalfwaySettings(SchedulerSettings):
    """There is nothing to set."""

    kind: Literal["halfway"] = "halfway"


KIND = SchedulerKind(
    about="Every trial pauses halfway.",
    settings=HalfwaySettings,
    build=lambda _, max_epochs, _maximize: Halfway(max_epochs),
)
