"""Two records of the same training compared: identical to the last bit, within a tolerance, or different."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.reproducing.record import Metrics, TrialRecord

TIMES = frozenset(("epoch_seconds", "images_per_second"))
"""Metrics that say how fast an epoch was trained, and nothing of what came of it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A number that is not the recorded one."""

    epoch: int
    name: str
    """Of the metric, or of an array of weights."""
    recorded: float
    now: float
    size: float
    """How far they are apart; infinite where one of them is not a finite number."""

    @property
    def relative(self) -> float:
        """The size, as a share of the recorded number where that is above 1: what a tolerance limits."""
        return self.size / max(1.0, abs(self.recorded)) if math.isfinite(self.size) else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochsCompared:
    """What came of comparing two trainings epoch by epoch."""

    recorded: int
    """Epochs that the record has."""
    trained: int
    """Epochs that were trained now."""
    identical: int
    """Epochs of both whose metrics are the same to the last bit."""
    first_difference: int | None
    """The first epoch whose metrics, or whose state, are not the same; or which only one of the two has."""
    differences: tuple[Difference, ...]
    """Metrics that differ in the first epoch in which any does."""
    largest: Difference | None
    """The largest difference of any metric in any epoch."""
    states: int
    """Epochs whose states (all weights, and the optimizer) could be compared."""
    states_identical: int
    """Those of them in which they are the same to the last bit."""
    only_recorded: tuple[str, ...] = ()
    """Metrics that only the record has."""
    only_now: tuple[str, ...] = ()
    """Metrics that only this training has."""

    @property
    def all_identical(self) -> bool:
        """Whether nothing differs."""
        return self.first_difference is None


def compare_epochs(recorded: TrialRecord, now: TrialRecord, *, states: bool) -> EpochsCompared:
    """Compare metrics and checkpoints.

    Args:
        recorded: as the study's log tells it.
        now: as it was trained again.
        states: whether checkpoints that hold the same have the same bytes: they were written by one version.
            Otherwise those that differ say nothing.
    """
    both = sorted(recorded.metrics.keys() & now.metrics.keys())
    found = {
        epoch: [
            one
            for before in recorded.metrics[epoch]
            for one in _differences(epoch, before, now.metrics[epoch][-1])
        ]
        for epoch in both
    }
    compared: dict[int, bool] = {}
    for epoch in sorted(recorded.states.keys() & now.states.keys()):
        same = all(sha256 == now.states[epoch][-1] for sha256 in recorded.states[epoch])
        if same or states:
            compared[epoch] = same
    differing = [epoch for epoch in both if found[epoch]]
    first = [
        *differing[:1],
        *[epoch for epoch, same in compared.items() if not same][:1],
        *sorted(recorded.metrics.keys() ^ now.metrics.keys())[:1],
    ]
    names_before, names_now = _names(recorded), _names(now)
    return EpochsCompared(
        recorded=len(recorded.metrics),
        trained=len(now.metrics),
        identical=len(both) - len(differing),
        first_difference=min(first, default=None),
        differences=tuple(found[differing[0]]) if differing else (),
        largest=max(
            (one for differences in found.values() for one in differences),
            key=lambda one: one.relative,
            default=None,
        ),
        states=len(compared),
        states_identical=sum(compared.values()),
        only_recorded=tuple(sorted(names_before - names_now)) if both else (),
        only_now=tuple(sorted(names_now - names_before)) if both else (),
    )


def _differences(epoch: int, recorded: Metrics, now: Metrics) -> Iterator[Difference]:
    """Metrics of both that are not the same to the last bit, the times left out."""
    for name, before in recorded.items():
        after = now.get(name)
        if name in TIMES or after is None or _same(before, after):
            continue
        size = abs(after - before)
        yield Difference(epoch, name, before, after, size if math.isfinite(size) else math.inf)


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _names(record: TrialRecord) -> set[str]:
    told: Sequence[Metrics] = [metrics for found in record.metrics.values() for metrics in found]
    return {name for metrics in told for name in metrics} - TIMES
