"""Which configurations may be begun: the rule that those which cannot be trained in time, or at all, are not.

A new trial is of use if its first rung ends in time, and if it could be the one that is trained to its end.
To find out whether it should be takes time too, so its further training must fit in `SPARE` times. And no
first rung may take so long that hardly any two configurations can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.records import Params
from harness.sweeping.costs_known import KnownCosts, NothingKnown
from harness.sweeping.policy import TimeLeft
from harness.sweeping.refused import Refusal

LAST_MOMENT = 1.5
"""The last training to the end begins when so many times its seconds, and the longest epoch's, are left."""
SAFETY = 1.05
"""How many times its epochs' own seconds a segment is taken to last, with all that comes beside them."""
SPARE = 1.25
"""How many times the seconds of a trial's further training are to be left after its first rung."""
SHARE = 1 / 3
"""The part of a session's time that a first rung may take."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of a configuration's seconds."""

    share: float
    """Seconds that its first rung may take at most."""
    spare: float
    """How many times the seconds of its further training must be left after its first rung; 0: it need not be
    possible to train it to its end."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides on configurations by what is known of their costs."""

    costs: KnownCosts = field(default_factory=NothingKnown)
    first: int = 1
    """The epoch of the first rung."""
    last: int = 1
    """The epochs with which a training comes to its end: those of a full one, or where trainings may be
    shortened, at least a few."""
    memory: float = math.inf
    """Bytes that training may take in a worker."""

    def refusal(self, params: Params, left: TimeLeft | None, demands: Demands) -> Refusal | None:
        """Why a complete configuration may not be begun; None if it may, or if too little is known.

        Args:
            params: the configuration.
            left: what is left of the study's time limit; None for a study without one.
            demands: what is asked of its seconds.
        """
        memory = self.costs.memory_bytes(params)
        if memory is not None and memory > self.memory:
            return Refusal("memory", memory, self.memory)
        if left is None:  # then nobody need be asked how long it takes
            return None
        first = self.costs.seconds_to(params, 0, self.first)
        whole = self.costs.seconds_to(params, 0, self.last)
        if first is None or whole is None:
            return None
        first, whole = SAFETY * first, SAFETY * whole
        if first > (available := min(demands.share, left.seconds)):
            return Refusal("first_rung", first, available)
        needed = first + demands.spare * (whole - first)
        if needed > left.seconds:
            return Refusal("full_training", whole, whole * left.seconds / needed)
        return None

    def still(self, refusal: Refusal, left: TimeLeft | None) -> bool:
        """Whether an earlier session's refusal still holds: a limit may have been raised since."""
        if refusal.reason == "memory":
            return refusal.needed > self.memory
        part = SHARE if refusal.reason == "first_rung" else 1 / SPARE
        return left is not None and refusal.needed > part * left.seconds
