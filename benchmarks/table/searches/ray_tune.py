"""Ray Tune's ASHA as `benchmarks.arms.search.ray_tune_asha` uses it: random draws, stopped at rungs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION
from benchmarks.table.clock import Epoch, Work
from benchmarks.table.curves import CONSTANT, Table
from harness.experiment.drawing import drawn_at_random
from harness.experiment.space import resolve

SCORE = "val_accuracy"


class RayAsha:
    keeps_programs = False

    def __init__(self, table: Table, seed: int) -> None:
        np.random.seed(seed)  # what its scheduler draws from
        self._space, self._epochs = table.space, table.recording.epochs
        self._draw = drawn_at_random(random.Random(f"ray {seed}"))
        self._scheduler = ASHAScheduler(
            metric=SCORE,
            mode="max",
            max_t=self._epochs,
            grace_period=MIN_EPOCHS,
            reduction_factor=REDUCTION,
        )
        self._trials: list[SimpleNamespace] = []

    def hand_out(self, idle: Sequence[int], now: float) -> tuple[int, Work]:
        number = len(self._trials)
        trial = SimpleNamespace(trial_id=str(number))  # all that the scheduler asks a trial for
        self._scheduler.on_trial_add(None, trial)
        self._trials.append(trial)
        return idle[0], Work(number, resolve(self._space, self._draw)[0], 0, self._epochs, CONSTANT)

    def ended(self, worker: int, work: Work, epoch: Epoch) -> bool:
        result = {"training_iteration": epoch.number, SCORE: epoch.accuracy}
        action = self._scheduler.on_trial_result(None, self._trials[work.trial], result)
        return bool(action == TrialScheduler.CONTINUE)
