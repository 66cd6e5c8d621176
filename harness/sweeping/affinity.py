"""Which worker runs which segment: if possible one that has compiled its program already.

Compiling costs as much as dozens of epochs of a small network. So a segment whose program a busy worker has
compiled waits for that worker for a while, and the idle one gets another; but no worker is ever idle for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from harness.experiment.parameters import in_epoch, program_key
from harness.records import Segment


@dataclass(slots=True, eq=False)
class _Waiting:
    segment: Segment
    program: str
    passed_over: int = 0
    """Younger segments that were handed out before it."""


@dataclass(slots=True)
class Affinity:
    """Segments that wait for a worker, and what each worker has compiled."""

    workers: int
    """How many there are now; so often may a segment be passed over, and twice so many may be held back."""
    _waiting: list[_Waiting] = field(default_factory=list)
    """The oldest first."""
    _compiled: dict[int, list[str]] = field(default_factory=dict)
    """Programs by worker, the one used last at the end."""

    @property
    def waiting(self) -> list[Segment]:
        """What was added and has not been taken, the oldest first."""
        return [one.segment for one in self._waiting]

    def add(self, segment: Segment) -> None:
        """Let a segment wait for a worker; the program of its first epoch counts."""
        params = in_epoch(segment.params, segment.start - segment.before + 1, segment.unfreeze_at)
        self._waiting.append(_Waiting(segment, program_key(params)))

    def forget(self, worker: int) -> None:
        """The worker is a fresh one."""
        self._compiled.pop(worker, None)

    def take(self, idle: Collection[int], more: Callable[[], Segment | None]) -> tuple[int, Segment] | None:
        """An idle worker and what it is to run next; None if there is nothing.

        Args:
            idle: workers that could begin at once; at least one.
            more: makes another segment, which may be held back until the next call; None: there is none
                for now.
        """
        while (chosen := self._suitable(idle)) is None:
            another = more() if len(self._waiting) < 2 * self.workers else None
            if another is not None:
                self.add(another)
            elif self._waiting:
                chosen = self._waiting[0]
                break
            else:
                return None
        for older in self._waiting[: self._waiting.index(chosen)]:
            older.passed_over += 1
        self._waiting.remove(chosen)
        worker = min(sorted(idle), key=lambda one: self._age(one, chosen.program))
        compiled = self._compiled.setdefault(worker, [])
        if chosen.program in compiled:
            compiled.remove(chosen.program)
        compiled.append(chosen.program)
        return worker, chosen.segment

    def _suitable(self, idle: Collection[int]) -> _Waiting | None:
        """What should run now; None if all that waits had better wait for a busy worker."""
        for rule in (
            # What is trained to its end in the time that is left cannot wait.
            lambda one: one.segment.annealing is not None or one.passed_over >= self.workers,
            lambda one: any(one.program in self._compiled.get(worker, []) for worker in idle),
            lambda one: not any(one.program in compiled for compiled in self._compiled.values()),
        ):
            found = next(filter(rule, self._waiting), None)
            if found is not None:
                return found
        return None

    def _age(self, worker: int, program: str) -> int:
        """How many programs the worker has used since this one."""
        compiled = self._compiled.get(worker, [])
        return compiled[::-1].index(program) if program in compiled else len(compiled) + 1
