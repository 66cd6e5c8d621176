"""Optuna's pruners as a scheduler: after every epoch a trial goes on or is stopped for good."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.records import TrialState
from harness.sweep.scheduler import Promotion, Values

if TYPE_CHECKING:
    import optuna

    from harness.experiment.schema import SchedulerConfig


class StopOnly:
    """Asks an Optuna pruner after each epoch from `min_epochs` on; what it stops never goes on.

    A segment is one epoch long, so that what the pruner sees does not depend on timing.
    """

    def __init__(
        self, pruner: optuna.pruners.BasePruner, min_epochs: int, max_epochs: int, *, maximize: bool
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize" if maximize else "minimize", pruner=pruner)
        self._sign = 1 if maximize else -1
        self._min_epochs = min(min_epochs, max_epochs)
        self._max_epochs = max_epochs
        self._trials: dict[int, optuna.Trial] = {}
        self._values: dict[int, float] = {}
        """The objective's last value, by trial."""
        self._going: list[tuple[int, int]] = []
        """Trials that go on, and their epochs."""

    def start(self, trial: int) -> int:
        """The first epoch after which the pruner is asked."""
        self._trials[trial] = self._study.ask()
        return self._min_epochs

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Ask the pruner."""
        if epoch < self._min_epochs:
            return False
        known, value = self._trials[trial], self._sign * values[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a step that is reported twice
            known.report(value, epoch)
        self._values[trial] = value
        if epoch >= self._max_epochs:
            return False
        if known.should_prune():
            return True
        self._going.append((trial, epoch))
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """Complete trials are what the others are compared with."""
        from optuna.trial import TrialState as OptunaState

        self._going = [(going, epoch) for going, epoch in self._going if going != trial]
        if state == "complete" and trial in self._values:
            self._study.tell(self._trials[trial], self._values[trial])
        else:
            self._study.tell(self._trials[trial], state=OptunaState.FAIL)

    def go_on(self, trial: int, epoch: int, stop: int) -> None:
        """It is on its way already."""
        self._going = [(going, at) for going, at in self._going if (going, at) != (trial, epoch)]

    def promotion(self, *, all_started: bool) -> Promotion | None:
        """Whoever was not stopped goes on at once."""
        if not self._going:
            return None
        trial, epoch = self._going.pop(0)
        return Promotion(trial, start=epoch, stop=epoch + 1)

    def candidates(self) -> Iterator[Promotion]:
        """Nothing pauses for long."""
        return iter(())


def make_pruner(config: SchedulerConfig) -> optuna.pruners.BasePruner:
    """The Optuna pruner of an experiment file: `median`, `percentile`, `patient` or `threshold`."""
    from optuna import pruners

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PatientPruner is experimental
        if config.kind == "median":
            return pruners.MedianPruner(n_startup_trials=config.startup_trials)
        if config.kind == "percentile":
            return pruners.PercentilePruner(config.percentile, n_startup_trials=config.startup_trials)
        if config.kind == "patient":
            return pruners.PatientPruner(None, patience=config.patience)
        return pruners.ThresholdPruner(lower=config.lower, upper=config.upper)
