"""What to run next: a policy is asked for the next segment and told what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.records import Annealing, TrialState
from harness.schedulers.protocol import Values
from harness.sweeping.refused import Refused, Shortage

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Suggestion


@dataclass(frozen=True, slots=True)
class Choice:
    """The next segment: this trial, up to this epoch."""

    trial: int
    stop: int
    suggestion: Suggestion | None = None
    """The configuration of a new trial; None for a trial that goes on."""
    note: str = ""
    """A sentence that a person should read before it is trained."""
    annealing: Annealing | None = None
    """How the trial is trained to its end early; None: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a segment."""

    trial: int
    stop: int
    """The epoch that the segment was to reach."""
    values: Values
    """All objectives at the epoch that the segment did reach, larger-is-better; NaN where unknown."""
    scores: Mapping[int, float]
    """The first objective, with its own sign, by epoch until the one reached; only where it is finite."""
    state: TrialState | None = None
    """How the trial ended; None if it is paused."""
    final: list[float] | None = None
    """All objectives, each with its own sign, of a trial that has ended."""
    seconds: float | None = None
    """What an epoch of the trial takes; None if none has ended."""
    usual_seconds: float | None = None
    """The same in the mean, which what else runs on the machine makes longer; None if it is not known."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """What is left of a study's time limit."""

    seconds: float
    """Seconds until the limit."""
    limit: float
    """Seconds that the limit grants all sessions together."""
    longest_epoch: float = 0.0
    """Seconds of the session's longest epoch, compiling included: another segment may take as long."""

    @property
    def share(self) -> float:
        """Which part of the limit is left, from 1 at the beginning to 0 at the end."""
        return max(0.0, min(1.0, self.seconds / self.limit))


class Policy(Protocol):
    """Decides which trial is trained next and how far; it is told what came of every segment."""

    def ask(self, left: TimeLeft | None) -> Choice | None:
        """The next segment; None if there is none before another outcome is known.

        Args:
            left: what is left of the study's time limit; None for a study without one.
        """

    def tell(self, outcome: Outcome) -> None:
        """Take in what came of a segment."""

    def cycles(self, trial: int) -> tuple[int, ...]:
        """The epochs at which the cycles of the trial's learning rate end: see `Scheduler.cycles`."""

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been tried."""

    @property
    def shortage(self) -> Shortage | None:
        """Why nothing new can be begun although configurations are left; None if something can."""

    def take_refused(self) -> list[Refused]:
        """Configurations that were suggested since the last call and may not be begun, in their order."""

    def take_stopped(self) -> list[int]:
        """Trials that a result has stopped for good since the last call."""
