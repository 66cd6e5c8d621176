"""Random search: each configuration is trained to the end, and then another is drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks.table.clock import Epoch, Work
from benchmarks.table.curves import CONSTANT, Table
from harness.experiment.drawing import drawn_at_random
from harness.experiment.space import resolve


class RandomSearch:
    keeps_programs = False

    def __init__(self, table: Table, seed: int) -> None:
        self._space, self._epochs = table.space, table.recording.epochs
        self._draw = drawn_at_random(random.Random(f"random search {seed}"))
        self._begun = 0

    def hand_out(self, idle: Sequence[int], now: float) -> tuple[int, Work]:
        self._begun += 1
        params = resolve(self._space, self._draw)[0]
        return idle[0], Work(self._begun - 1, params, 0, self._epochs, CONSTANT)

    def ended(self, worker: int, work: Work, epoch: Epoch) -> bool:
        return True
