"""KerasTuner's Hyperband as `benchmarks.arms.search.keras_tuner_hyperband` uses it: its oracle decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_tuner
from keras_tuner.oracles import HyperbandOracle

from benchmarks.arms.searching import REDUCTION, asking_keras_tuner
from benchmarks.table.clock import Epoch, Work
from benchmarks.table.curves import CONSTANT, Table
from harness.experiment.space import resolve

ITERATIONS = 1000
SCORE = "val_accuracy"


class InMemoryOracle(HyperbandOracle):
    """The oracle, which writes its state down nowhere."""

    def save(self) -> None:
        pass

    def _save_trial(self, trial: Any) -> None:
        pass


class KerasTunerHyperband:
    keeps_programs = False

    def __init__(self, table: Table, seed: int) -> None:
        self._space = table.space
        self._oracle = InMemoryOracle(
            objective=keras_tuner.Objective(SCORE, "max"),
            max_epochs=table.recording.epochs,
            factor=REDUCTION,
            hyperband_iterations=ITERATIONS,
            seed=seed + 1,  # it takes a 0 for none
        )
        self._oracle.verbose = 0
        hp = self._oracle.get_space()
        resolve(self._space, asking_keras_tuner(hp))  # as a tuner builds a model at first, to see the space
        self._oracle.update_space(hp)
        self._trials: dict[int, Any] = {}
        """By the numbers that oracle gives them."""
        self._scores: dict[int, list[float]] = {}
        self._first: dict[int, int] = {}
        """The number under which a training was begun; one that goes on is a new trial to the oracle."""

    def hand_out(self, idle: Sequence[int], now: float) -> tuple[int, Work] | None:
        worker = idle[0]
        trial = self._oracle.create_trial(f"tuner{worker}")
        if trial.status != "RUNNING":
            return None
        values, number = trial.hyperparameters.values, int(trial.trial_id)
        before = values.get("tuner/trial_id")
        self._first[number] = number if before is None else self._first[int(before)]
        params, _ = resolve(self._space, asking_keras_tuner(trial.hyperparameters))
        first = self._first[number]
        self._trials[first], self._scores[first] = trial, []
        work = Work(first, params, values["tuner/initial_epoch"], values["tuner/epochs"], CONSTANT)
        return worker, work

    def ended(self, worker: int, work: Work, epoch: Epoch) -> bool:
        scores = self._scores[work.trial]
        scores.append(epoch.accuracy)
        if epoch.number == work.stop:
            trial, best = self._trials[work.trial], max(scores)
            # What its tuner reports: the best epoch of this part of the training.
            self._oracle.update_trial(trial.trial_id, {SCORE: best}, step=scores.index(best))
            trial.status = "COMPLETED"
            self._oracle.end_trial(trial)
        return True
