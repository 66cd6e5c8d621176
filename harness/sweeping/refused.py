"""Configurations that may not be begun, and what is said of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.experiment.experiment import Budget
from harness.records import Params, RefusalReason
from harness.study.limits import UsedUp
from harness.study.state import StudyState

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a configuration may not be begun."""

    reason: RefusalReason
    needed: float
    """Seconds or bytes that it would take."""
    available: float
    """Seconds or bytes that it may take."""

    @property
    def excess(self) -> float:
        """By how much it exceeds what is possible: the logarithm of the ratio, above 0."""
        return math.log(self.needed / max(self.available, 1e-6))


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration that was suggested for a trial, and may not be begun."""

    number: int
    """The trial's."""
    params: Params
    """All parameters, with defaults."""
    sampled: Params
    """What the sampler chose, by its own names."""
    refusal: Refusal
    known_as: str = ""
    """What a configuration is called that was known before the search; empty for what a sampler chose."""

    @property
    def sentence(self) -> str:
        """That a configuration which was known before the search is not begun, and why."""
        refusal = self.refusal
        what = f"{self.known_as[:1].upper()}{self.known_as[1:]} is not begun"
        if refusal.reason == "memory":
            return (
                f"{what}: it takes {refusal.needed / GIB:.1f} GiB of memory, and a worker has "
                f"{refusal.available / GIB:.1f} GiB."
            )
        until = "its first rung" if refusal.reason == "first_rung" else "its end"
        return (
            f"{what}: training it to {until} would take about {refusal.needed:.0f} s, and it may take "
            f"{refusal.available:.0f} s of the time limit."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """That nothing new can be begun, by the cheapest configuration that was suggested."""

    reason: RefusalReason
    needed: float
    """Bytes that it takes, where it is for want of memory."""
    memory: float
    """Bytes that training may take in a worker."""
    seconds_left: float
    epoch_seconds: float
    """What an epoch of it takes, where it is for want of time."""
    least_epochs: int
    """The epochs with which a training comes to its end."""

    def used_up(self, budget: Budget, state: StudyState, workers: int) -> UsedUp:
        """What has ended the sweep, and the option with which it would go on."""
        if self.reason == "memory":
            raised_by = f"--workers {max(1, workers // 2)}"
        else:
            raised_by = f"--timeout {2 * (budget.timeout or 0.0):g}"
        return UsedUp(self._ending(anything_begun=bool(state.trials)), raised_by)

    def _ending(self, *, anything_begun: bool) -> str:
        if self.reason == "memory":
            what = "nothing more" if anything_begun else "no configuration"
            return (
                f"{what} that was suggested fits in a worker's memory of {self.memory / GIB:.1f} GiB; the "
                f"smallest takes {self.needed / GIB:.1f} GiB"
            )
        if anything_begun:
            return f"nothing more can be trained to its end in the {self._left} of the time limit"
        return (
            f"no configuration that was suggested can be trained to its first rung in the {self._left}; the "
            f"cheapest takes about {self.epoch_seconds:.3g} s an epoch"
        )

    @property
    def no_whole(self) -> str:
        """That no trial of the sweep will be whole."""
        return (
            f"No configuration that was suggested can be trained to its end in the {self._left}: the "
            f"cheapest takes about {self.epoch_seconds:.3g} s an epoch, and a training has at least "
            f"{self.least_epochs} epochs. What is begun can be trained on with a higher limit."
        )

    @property
    def _left(self) -> str:
        return f"{self.seconds_left:.0f} s that are left"
