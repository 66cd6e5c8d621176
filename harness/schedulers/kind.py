"""How a scheduler is known to experiment files: its settings, and what makes it of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from harness.schedulers.protocol import Scheduler
from harness.settings import Strict


class SchedulerSettings(Strict):
    """The `scheduler` section of an experiment file; each kind has keys of its own."""

    kind: str


class RungSettings(SchedulerSettings):
    """What schedulers have in common that compare trials at rungs."""

    anneal: Literal["auto", "none"] = "none"
    """`auto`: in the last part of a time limit, the best trials that wait are trained down to a learning rate
    of 0 in the time that is left. `none`: no training is shortened."""


@dataclass(frozen=True, slots=True)
class SchedulerKind:
    """One kind of scheduler."""

    about: str
    """A sentence for people."""
    settings: type[SchedulerSettings]
    build: Callable[[Any, int, bool], Scheduler]
    """Makes the scheduler from its settings, the epochs of a full training, and whether a larger first
    objective is better."""
    one_objective: bool = False
    """It cannot be used with several objectives."""
    compares_at_rungs: bool = False
    """Which trials go on is decided by comparing them at epochs before the last one."""
