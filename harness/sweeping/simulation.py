"""How long a sweep lasts: its scheduler decides on trials of made-up quality, and a made-up clock runs."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.schedulers.protocol import Scheduler

RUNS = 20
"""Sweeps that are simulated, for the spread of their lengths."""
MOST_TRIALS = 1000
"""Trials that are simulated at most: a longer sweep takes as much longer as it has more trials."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a configuration takes."""

    program: str
    """The key of its program, which a worker compiles once."""
    compile_seconds: float
    epoch_seconds: float
    until: float = math.inf
    """The last epoch for which this holds."""
    then: Priced | None = None
    """What it takes after that, where another program trains it on."""

    def between(self, start: int, stop: int) -> Iterator[tuple[Priced, float]]:
        """What the epochs after `start` up to `stop` take, and how many of them, for each program."""
        if start < (last := min(stop, self.until)):
            yield self, last - start
        if self.then is not None and stop > self.until:
            yield self.then, stop - max(start, self.until)


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity of simulated sweeps: what one in ten stays below, half, and nine in ten."""

    low: float
    middle: float
    high: float

    def later(self, seconds: float) -> Spread:
        """The same, with so much before it."""
        return Spread(self.low + seconds, self.middle + seconds, self.high + seconds)


def sweep_seconds(
    make_scheduler: Callable[[], Scheduler],
    configurations: Sequence[Priced],
    *,
    trials: int,
    workers: int,
    objectives: int,
    epochs: int,
    rng: random.Random,
) -> Spread:
    """Seconds from the first training to the last.

    Args:
        make_scheduler: a fresh one for each simulated sweep.
        configurations: to draw trials from, each equally likely.
        trials: of the sweep.
        workers: that train side by side.
        objectives: how many numbers a result has.
        epochs: of one training; a trial with folds has several.
        rng: draws configurations and results.
    """
    simulated = min(trials, MOST_TRIALS)
    found = sorted(
        trials
        / simulated
        * _simulated(make_scheduler(), configurations, simulated, workers, objectives, epochs, rng)
        for _ in range(RUNS)
    )
    return Spread(found[RUNS // 10], found[RUNS // 2], found[-1 - RUNS // 10])


def _simulated(
    scheduler: Scheduler,
    configurations: Sequence[Priced],
    trials: int,
    workers: int,
    objectives: int,
    epochs: int,
    rng: random.Random,
) -> float:
    drawn = [rng.choice(configurations) for _ in range(trials)]
    quality = [rng.random() for _ in range(trials)]
    compiled: list[set[str]] = [set() for _ in range(workers)]
    reached = [0] * trials
    started, now = 0, 0.0
    idle = list(range(workers))
    running: list[tuple[float, int, int, int]] = []
    """When each segment ends, its worker, its trial and the epoch that it reaches."""
    while True:
        while idle:
            promotion = scheduler.promote_next(all_started=started == trials)
            if promotion is not None:
                trial, stop = promotion.trial, promotion.stop
            elif started < trials:
                trial, stop = started, scheduler.start(started)
                started += 1
            else:
                break
            own = drawn[trial]
            worker = next((one for one in idle if own.program in compiled[one]), idle[0])
            idle.remove(worker)
            seconds = 0.0
            before = reached[trial] // epochs * epochs
            for part, number in own.between(reached[trial] - before, stop - before):
                seconds += number * part.epoch_seconds
                seconds += part.compile_seconds if part.program not in compiled[worker] else 0.0
                compiled[worker].add(part.program)
            heapq.heappush(running, (now + seconds, worker, trial, stop))
        if not running:
            return now
        now, worker, trial, stop = heapq.heappop(running)
        idle.append(worker)
        reached[trial] = stop
        stopped = scheduler.report(trial, stop, (quality[trial] + rng.gauss(0, 0.05),) * objectives)
        if stop == scheduler.rungs[-1]:
            scheduler.end(trial, "complete")
        elif stopped:
            scheduler.end(trial, "pruned")
