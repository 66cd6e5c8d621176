"""Optuna as `benchmarks.arms.search.optuna_hyperband` uses it: TPE and a pruner, a sampler a worker."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.storages import InMemoryStorage

from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION
from benchmarks.table.clock import Epoch, Work
from benchmarks.table.curves import CONSTANT, Table
from harness.experiment.space import resolve
from harness.sweeping.samplers.suggesting import suggest


class OptunaSearch:
    keeps_programs = False

    def __init__(
        self, table: Table, seed: int, workers: int, make_pruner: Callable[[int], BasePruner]
    ) -> None:
        """Begin.

        Args:
            table: whose space is searched.
            seed: of the samplers; it also names the study, by which a Hyperband deals trials out.
            workers: a sampler for each.
            make_pruner: makes the pruner for so many epochs.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._epochs = table.space, table.recording.epochs
        storage = InMemoryStorage()
        self._studies = [
            optuna.create_study(
                study_name=f"search-{seed}",
                storage=storage,
                load_if_exists=True,
                direction="maximize",
                sampler=tpe(workers * seed + worker),
                pruner=make_pruner(self._epochs),
            )
            for worker in range(workers)
        ]
        self._trials: dict[int, optuna.Trial] = {}

    def hand_out(self, idle: Sequence[int], now: float) -> tuple[int, Work]:
        worker = idle[0]
        trial = self._studies[worker].ask()
        params = resolve(self._space, lambda name, among: suggest(trial, name, among))[0]
        self._trials[trial.number] = trial
        return worker, Work(trial.number, params, 0, self._epochs, CONSTANT)

    def ended(self, worker: int, work: Work, epoch: Epoch) -> bool:
        trial, study = self._trials[work.trial], self._studies[worker]
        # As its callback for Keras reports them: from 0.
        trial.report(epoch.accuracy, step=epoch.number - 1)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return False
        if epoch.number == work.stop:
            study.tell(trial, epoch.accuracy)
        return True


def tpe(seed: int) -> optuna.samplers.TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def with_hyperband(table: Table, seed: int, workers: int) -> OptunaSearch:
    return OptunaSearch(table, seed, workers, lambda epochs: HyperbandPruner(MIN_EPOCHS, epochs, REDUCTION))


def with_halving(table: Table, seed: int, workers: int) -> OptunaSearch:
    return OptunaSearch(table, seed, workers, lambda _: SuccessiveHalvingPruner(MIN_EPOCHS, REDUCTION))
