"""What a sweep is to do, and what it tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.experiment.experiment import Experiment
from harness.records import Dataset, LogRecord, Precision, Pulse, StudyEnded, WarmStart
from harness.study.limits import UsedUp
from harness.study.state import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """One session of a study."""

    experiment: Experiment
    study_folder: Path
    dataset: Dataset
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of the weights of pretrained networks, by the value of `backbone`."""
    warm_start: WarmStart | None = None
    """What the study has learned from others."""
    files: str = ""
    """The URL of the place where workers keep files; empty: in the study's folder."""

    @property
    def trials(self) -> int:
        """The study's total."""
        return self.experiment.search.trials

    @property
    def max_epochs(self) -> int:
        """Epochs of a full training."""
        return self.experiment.training.epochs

    @property
    def precision(self) -> Precision:
        """What layers compute with in training."""
        found = self.experiment.training.precision
        assert found != "auto", "a session decides before it makes its plan"
        return found

    @property
    def has_plugin(self) -> bool:
        """Whether the network is the user's own code: if that fails at once, it is told at once."""
        return self.experiment.model is not None


@dataclass(slots=True)
class Stop:
    """Why a sweep is ending early; set from outside (a signal) or when a limit is reached."""

    reason: str | None = None
    immediately: bool = False
    """Do not wait for workers."""


class Watcher(Protocol):
    """Someone who is told what a person would want to see of a sweep."""

    def progress(self, label: str, done: int, total: int) -> None:
        """A long step of the preparation goes on."""

    def note(self, message: str) -> None:
        """A sentence worth reading."""

    def opened(self, state: StudyState, plan: SweepPlan, workers: int) -> None:
        """The study is open and its workers are starting; `state` stays up to date."""

    def on_pulse(self, pulse: Pulse) -> None:
        """A worker is at work within an epoch."""

    def on_record(self, record: LogRecord) -> None:
        """Something was written to the event log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """How a sweep ended."""

    state: StudyState
    ended: StudyEnded
    seconds: float
    """Wall time of this session."""
    at_fault: bool
    """The sweep gave up because the network's code fails in every trial."""
    behind: tuple[str, ...] = ()
    """Sentences about trackers that could not be brought up to date."""
    limit: UsedUp | None = None
    """What keeps the study from going on."""
