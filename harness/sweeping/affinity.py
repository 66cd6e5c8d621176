"""Which worker runs which segment: if possible one that has compiled its program already.

Compiling costs as much as dozens of epochs of a small network. So a segment whose program a busy worker has
compiled waits for that worker for a while, and the idle one gets another; but no worker is ever idle for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from harness.experiment.keys import program_key
from harness.experiment.parameters import in_epoch
from harness.records import Segment

MOST_WAITING = 64
"""Segments that are held back at most, with however many workers: what waits was chosen without the results
that come meanwhile, and among so many there is one for every idle worker."""


@dataclass(slots=True)
class Affinity:
    """Segments that wait for a worker, and what each worker has compiled."""

    workers: int
    """How many there are now; so often may a segment be passed over, and twice so many may be held back, up
    to `MOST_WAITING`."""
    _added: int = 0
    """How many segments have been added so far."""
    _waiting: dict[int, tuple[Segment, str]] = field(default_factory=dict)
    """Segments with their programs by how many were added before, so the oldest first."""
    _by_program: dict[str, dict[int, None]] = field(default_factory=dict)
    """By program, the numbers of the segments that wait, the oldest first."""
    _trials: Counter[int] = field(default_factory=Counter)
    """How many segments of each trial wait."""
    _compiled: dict[int, list[str]] = field(default_factory=dict)
    """Programs by worker, the one used last at the end."""
    _holders: dict[str, set[int]] = field(default_factory=dict)
    """Who has compiled a program."""

    @property
    def waiting(self) -> list[Segment]:
        """What was added and has not been taken, the oldest first."""
        return [segment for segment, _ in self._waiting.values()]

    def has(self, trial: int) -> bool:
        """Whether a segment of the trial waits."""
        return trial in self._trials

    def add(self, segment: Segment) -> None:
        """Let a segment wait for a worker; the program of its first epoch counts."""
        params = in_epoch(segment.params, segment.start - segment.before + 1, segment.unfreeze_at)
        program = program_key(params)
        self._waiting[self._added] = segment, program
        self._by_program.setdefault(program, {})[self._added] = None
        self._trials[segment.trial] += 1
        self._added += 1

    def forget(self, worker: int) -> None:
        """The worker is a fresh one."""
        for program in self._compiled.pop(worker, ()):
            self._holders[program].discard(worker)

    def take(self, idle: Collection[int], more: Callable[[], Segment | None]) -> tuple[int, Segment] | None:
        """An idle worker and what it is to run next; None if there is nothing.

        Args:
            idle: workers that could begin at once; at least one.
            more: makes another segment, which may be held back until the next call; None: there is none
                for now.
        """
        chosen = self._suitable(idle)
        while chosen is None:
            another = more() if len(self._waiting) < min(2 * self.workers, MOST_WAITING) else None
            if another is not None:
                self.add(another)
                newest = next(reversed(self._waiting))
                if self._suits(*self._waiting[newest], idle):
                    chosen = newest
            elif self._waiting:
                chosen = next(iter(self._waiting))
            else:
                return None
        segment, program = self._remove(chosen)
        worker = min(sorted(idle), key=lambda one: self._age(one, program))
        compiled = self._compiled.setdefault(worker, [])
        if program in compiled:
            compiled.remove(program)
        compiled.append(program)
        self._holders.setdefault(program, set()).add(worker)
        return worker, segment

    def _remove(self, chosen: int) -> tuple[Segment, str]:
        segment, program = self._waiting.pop(chosen)
        del self._by_program[program][chosen]
        if not self._by_program[program]:
            del self._by_program[program]
        self._trials[segment.trial] -= 1
        if not self._trials[segment.trial]:
            del self._trials[segment.trial]
        return segment, program

    def _suitable(self, idle: Collection[int]) -> int | None:
        """What should run now; None if all that waits had better wait for a busy worker.

        First what is trained to its end in the time that is left, which cannot wait, then what has been
        passed over for too long, what an idle worker has compiled, and what nobody has; always the oldest.
        """
        if not self._waiting:
            return None
        annealed = (one for one, (segment, _) in self._waiting.items() if segment.annealing is not None)
        if (first := next(annealed, None)) is not None:
            return first
        oldest = next(iter(self._waiting))
        # Of all that came later, what does not wait was handed out before it; no other was passed over more.
        if self._added - 1 - oldest - (len(self._waiting) - 1) >= self.workers:
            return oldest
        here, nowhere = [], []
        for program, numbers in self._by_program.items():
            holders = self._holders.get(program)
            if not holders:
                nowhere.append(next(iter(numbers)))
            elif not holders.isdisjoint(idle):
                here.append(next(iter(numbers)))
        return min(here or nowhere, default=None)

    def _suits(self, segment: Segment, program: str, idle: Collection[int]) -> bool:
        """Whether it cannot wait, or an idle worker has compiled its program, or nobody."""
        holders = self._holders.get(program)
        return segment.annealing is not None or not holders or not holders.isdisjoint(idle)

    def _age(self, worker: int, program: str) -> int:
        """How many programs the worker has used since this one."""
        compiled = self._compiled.get(worker, [])
        return compiled[::-1].index(program) if program in compiled else len(compiled) + 1
