"""A search on simulated workers: it is asked for work, answered from the table, and a made-up clock runs."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.table.curves import Curve, Table
from benchmarks.table.neighbours import Neighbours
from harness.experiment.keys import program_key
from harness.records import Annealing, Params


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker is to train."""

    trial: int
    """What the search knows it by."""
    params: Params
    """What the search has suggested; whoever goes on with a training gives the same ones again."""
    start: int
    """The epoch that was reached before."""
    stop: int
    schedule: str
    """As the table calls it."""
    annealing: Annealing | None = None
    """How it ends early; None: it does not."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What came of an epoch."""

    number: int
    """1-based."""
    accuracy: float
    finite: bool
    """Whether the loss was."""
    seconds: float
    """With compiling, where that came before it."""


class Search(Protocol):
    """A way to search: which configurations are trained how far."""

    keeps_programs: bool
    """Whether a worker compiles a program once; else whenever it takes up work."""

    def hand_out(self, idle: Sequence[int], now: float) -> tuple[int, Work] | None:
        """One of the idle workers and its work; None: nothing before something else has ended."""

    def ended(self, worker: int, work: Work, epoch: Epoch) -> bool:
        """An epoch has ended; whether the worker goes on. After the last one of its work it does not."""


@dataclass(slots=True)
class Answers:
    """The configurations that a search gets for those that it suggests.

    Each of the recorded ones is given once; when all have been, they are given again, trained with another
    seed where there is one.
    """

    table: Table
    neighbours: Neighbours
    seed: int
    """Of the search: which seeds' trainings it sees, the same ones whatever it is that searches."""
    _given: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By parameters, the configuration and how often all had been given before."""
    _left: set[int] = field(default_factory=set)
    _rounds: int = -1

    def configuration(self, params: Params) -> int:
        """The one that answers, or would answer if it were begun now."""
        given = self._given.get(_key(params))
        return given[0] if given else self.neighbours.nearest(params, self._left or set(self.table.complete))

    def begin(self, params: Params) -> int:
        """The configuration that answers from now on."""
        key = _key(params)
        if key not in self._given:
            if not self._left:
                self._left, self._rounds = set(self.table.complete), self._rounds + 1
            configuration = self.configuration(params)
            self._left.discard(configuration)
            self._given[key] = configuration, self._rounds
        return self._given[key][0]

    def curve(self, work: Work) -> Curve:
        """What the training gives that the work is a part of."""
        configuration, rounds = self._given[_key(work.params)]
        curves = self.table.trained(configuration, work.schedule, work.annealing)
        first = random.Random(f"{self.seed} {configuration}").random()
        return curves[(int(first * len(curves)) + rounds) % len(curves)]


def _key(params: Params) -> str:
    return json.dumps(params, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The best so far: what would be returned."""

    seconds: float
    """When it was found."""
    observed: float
    """Its accuracy as the search saw it."""
    true: float
    """The mean over seeds of the same configuration, trained in the same way to the same epoch."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of a search."""

    incumbents: list[Incumbent]
    """One after the other; each was observed to be better than the one before."""
    epochs: int
    trials: int
    """That were begun."""
    configurations: int
    """Different ones of the table that were begun."""
    busy_seconds: float
    """Of all workers together, in epochs that have ended."""


def simulate(search: Search, answers: Answers, *, workers: int, limit: float) -> Simulated:
    """Let a search go on until its time is over.

    Args:
        search: at its beginning.
        answers: that it gets.
        workers: that train side by side.
        limit: seconds; an epoch that ends later is not seen.
    """
    table, now, busy, epochs = answers.table, 0.0, 0.0, 0
    idle, trials, begun = list(range(workers)), set[int](), set[int]()
    compiled: set[tuple[int, str]] = set()
    incumbents: list[Incumbent] = []
    running: list[tuple[float, int, int, float, Work, Curve]] = []
    """When the epoch ends, the worker, the epoch, its seconds, and what it belongs to."""
    while True:
        while idle and (handed := search.hand_out(idle, now)) is not None:
            worker, work = handed
            idle.remove(worker)
            configuration = answers.begin(work.params)
            curve = answers.curve(work)
            trials.add(work.trial)
            begun.add(configuration)
            program = worker, program_key(table.complete[configuration])
            seconds = curve.seconds[work.start]
            if not (search.keeps_programs and program in compiled):
                compiled.add(program)
                seconds += curve.compile_seconds
            heapq.heappush(running, (now + seconds, worker, work.start + 1, seconds, work, curve))
        if not running:
            break
        now, worker, number, seconds, work, curve = heapq.heappop(running)
        if now > limit:
            break
        busy, epochs = busy + seconds, epochs + 1
        epoch = Epoch(number, curve.accuracies[number - 1], curve.finite[number - 1], seconds)
        if not incumbents or epoch.accuracy > incumbents[-1].observed:
            asked = answers.configuration(work.params)
            true = table.truth(asked, work.schedule, number, work.annealing)
            incumbents.append(Incumbent(now, epoch.accuracy, true))
        if search.ended(worker, work, epoch) and number < work.stop:
            seconds = curve.seconds[number]
            heapq.heappush(running, (now + seconds, worker, number + 1, seconds, work, curve))
        else:
            idle.append(worker)
            idle.sort()
    return Simulated(incumbents, epochs, len(trials), len(begun), busy)
