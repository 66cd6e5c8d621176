"""What a tracker is, and what a study and a store are to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.paths import StudyPaths
from harness.records import LogRecord


@dataclass(frozen=True, slots=True)
class Findings:
    """What a store holds that differs from a study's event log, in one respect."""

    problems: tuple[str, ...] = ()
    """Sentences about what contradicts the log."""
    notes: tuple[str, ...] = ()
    """Sentences about what somebody has deleted in the store: it is missing because they chose so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a store holds that differs from a study's event log; `Audit()` if nothing does."""

    values: Findings = Findings()
    """Metrics: every value once, and no other."""
    models: Findings = Findings()
    """Each complete trial finished in the store, with its model unchanged, if the store keeps models."""
    unfinished: Findings = Findings()
    """Whatever is shown as running although nothing runs."""
    states: Findings = Findings()
    """The trials' states, and which trial is the best one."""


class Tracker(Protocol):
    """Something that is brought up to date from a study's event log, idempotently."""

    def apply(self, records: Sequence[LogRecord]) -> None:
        """Write what these records say.

        They come in order, from the log's first one, without gaps; after an error they come from the first
        one again, and what had been written is found there. Another process may have written part of them
        before.
        """

    def reconcile(self) -> None:
        """After the whole log: remove what a lost answer has made twice, and say what is left out."""

    def audit(self, records: Sequence[LogRecord]) -> Audit:
        """Compare what the store holds with the whole log of a study that is not running; change nothing."""


@dataclass(frozen=True, slots=True)
class TrackedStudy:
    """The study that is tracked, and how."""

    paths: StudyPaths
    experiment: str
    """The name of its experiment."""
    note: Callable[[str], None] = lambda _: None
    """A function that is told what a person should know."""
    restore: bool = False
    """Write anew what somebody has deleted in the store, instead of leaving it out."""


@dataclass(frozen=True, slots=True)
class TrackerKind:
    """How a tracker is made for a study, and how its store is looked at before a sweep."""

    make: Callable[[TrackedStudy], Tracker]
    """Opens nothing yet, so it cannot fail."""
    check: Callable[[TrackedStudy], None]
    """Raises whatever keeps the store from being written to; makes no store."""
