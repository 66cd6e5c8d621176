"""Trials from the best to the worst, by one objective or by several."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.schedulers.protocol import Values


def best_first(results: Mapping[int, Values]) -> list[int]:
    """Trials from the best to the worst; ties go to the trial that was started first.

    One objective ranks by its value. Several rank by non-dominated fronts, and within a front by
    crowding distance, lonelier first (Deb et al. 2002, NSGA-II).
    """
    if all(len(values) == 1 for values in results.values()):
        return sorted(results, key=lambda trial: (-results[trial][0], trial))
    ranked: list[int] = []
    left = dict(results)
    while left:
        front = [
            trial
            for trial, values in left.items()
            if not any(_dominates(other, values) for other in left.values())
        ]
        distance = _crowding({trial: left[trial] for trial in front})
        ranked += sorted(front, key=lambda trial: (-distance[trial], trial))
        for trial in front:
            del left[trial]
    return ranked


def _dominates(one: Values, other: Values) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def _crowding(front: Mapping[int, Values]) -> dict[int, float]:
    distance = dict.fromkeys(front, 0.0)
    for objective in range(len(next(iter(front.values())))):
        order = sorted(front, key=lambda trial: (front[trial][objective], trial))
        low, high = front[order[0]][objective], front[order[-1]][objective]
        distance[order[0]] = distance[order[-1]] = math.inf
        if high > low:
            for before, trial, after in zip(order, order[1:], order[2:], strict=False):
                gap = front[after][objective] - front[before][objective]
                distance[trial] += gap / (high - low)
    return distance


@dataclass(slots=True)
class Ranking:
    """The results on one rung, kept in order, so that a large study is no slower than a small one."""

    results: dict[int, Values] = field(default_factory=dict)
    _order: list[tuple[float, int]] = field(default_factory=list)
    """With one objective: its negative value and the trial, sorted."""

    def __len__(self) -> int:
        return len(self.results)

    def enter(self, trial: int, values: Values) -> None:
        """Add the trial's result, or replace it."""
        self.remove(trial)
        self.results[trial] = values
        if len(values) == 1:
            insort(self._order, (-values[0], trial))

    def remove(self, trial: int) -> None:
        """Forget the trial's result, if there is one."""
        values = self.results.pop(trial, None)
        if values is not None and len(values) == 1:
            del self._order[bisect_left(self._order, (-values[0], trial))]

    def best(self, count: int, among: Ranking) -> Iterator[int]:
        """Those of the best `count` trials that are among others, best first, as `best_first` ranks them.

        Args:
            count: how many of all trials here.
            among: some of these, with the same results.
        """
        if len(self._order) < len(self.results):
            yield from (trial for trial in best_first(self.results)[:count] if trial in among.results)
            return
        for place in among._order:  # so that nobody goes through those that have gone on, who are the best
            if bisect_left(self._order, place) >= count:
                return
            yield place[1]
