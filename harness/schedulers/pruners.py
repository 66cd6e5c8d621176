"""Optuna's pruners as a scheduler: after every epoch a trial goes on or is stopped for good."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from harness.records import TrialState
from harness.schedulers.kind import SchedulerKind, SchedulerSettings
from harness.schedulers.protocol import Promotion, Values

if TYPE_CHECKING:
    import optuna


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

    @property
    def rungs(self) -> list[int]:
        """Every epoch from the first at which the pruner is asked."""
        return list(range(self._min_epochs, self._max_epochs + 1))

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One over the whole training: a cycle of one epoch for every epoch would be none."""
        return (self._max_epochs,)

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
        if state == "complete" and math.isfinite(self._values.get(trial, math.nan)):
            self._study.tell(self._trials[trial], self._values[trial])
        else:
            self._study.tell(self._trials[trial], state=OptunaState.FAIL)

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """The trial has been handed out again without `promote_next`: it no longer waits."""
        self._going = [(going, at) for going, at in self._going if (going, at) != (trial, epoch)]

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """Whoever was not stopped goes on at once."""
        if not self._going:
            return None
        trial, epoch = self._going.pop(0)
        return Promotion(trial, start=epoch, stop=epoch + 1)

    def candidates(self) -> Iterator[Promotion]:
        """Nothing pauses for long."""
        return iter(())


class PrunerSettings(SchedulerSettings):
    """What all of Optuna's pruners have in common here."""

    min_epochs: Annotated[int, Field(ge=1)] = 1
    """The first epoch after which a trial may be stopped."""


class MedianSettings(PrunerSettings):
    """See `optuna.pruners.MedianPruner`."""

    kind: Literal["median"] = "median"
    startup_trials: Annotated[int, Field(ge=0)] = 5
    """Complete trials before any is stopped."""


class PercentileSettings(PrunerSettings):
    """See `optuna.pruners.PercentilePruner`."""

    kind: Literal["percentile"] = "percentile"
    startup_trials: Annotated[int, Field(ge=0)] = 5
    """Complete trials before any is stopped."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 25.0
    """Trials below this share of the best at the same epoch are stopped."""


class PatientSettings(PrunerSettings):
    """See `optuna.pruners.PatientPruner`."""

    kind: Literal["patient"] = "patient"
    patience: Annotated[int, Field(ge=0)] = 3
    """Epochs without improvement before a trial is stopped."""


class ThresholdSettings(PrunerSettings):
    """See `optuna.pruners.ThresholdPruner`."""

    kind: Literal["threshold"] = "threshold"
    lower: float | None = None
    """Trials whose objective is below are stopped."""
    upper: float | None = None
    """Trials whose objective is above are stopped."""

    @model_validator(mode="after")
    def _has_threshold(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("the scheduler threshold needs lower or upper (or both)")
        return self


def _kind(
    about: str,
    settings: type[PrunerSettings],
    make: Callable[[Any, Any], optuna.pruners.BasePruner],
) -> SchedulerKind:
    def build(chosen: PrunerSettings, max_epochs: int, maximize: bool) -> StopOnly:
        from optuna import pruners

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PatientPruner is experimental
            pruner = make(pruners, chosen)
        return StopOnly(pruner, chosen.min_epochs, max_epochs, maximize=maximize)

    return SchedulerKind(about, settings, build, one_objective=True)


MEDIAN = _kind(
    "Optuna's pruner: whoever is worse than the median of the complete trials is stopped for good.",
    MedianSettings,
    lambda pruners, chosen: pruners.MedianPruner(n_startup_trials=chosen.startup_trials),
)
PERCENTILE = _kind(
    "Optuna's pruner: the same, by any percentile.",
    PercentileSettings,
    lambda pruners, chosen: pruners.PercentilePruner(
        chosen.percentile, n_startup_trials=chosen.startup_trials
    ),
)
PATIENT = _kind(
    "Optuna's pruner: whoever has not improved for some epochs is stopped for good.",
    PatientSettings,
    lambda pruners, chosen: pruners.PatientPruner(None, patience=chosen.patience),
)
THRESHOLD = _kind(
    "Optuna's pruner: whoever leaves a range is stopped for good.",
    ThresholdSettings,
    lambda pruners, chosen: pruners.ThresholdPruner(lower=chosen.lower, upper=chosen.upper),
)
