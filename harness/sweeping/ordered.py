"""The ordered policy: decisions that do not depend on timing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from harness.sweeping.asynchronous import AsynchronousPolicy
from harness.sweeping.policy import Choice, Outcome, TimeLeft
from harness.sweeping.refused import Refused, Shortage


@dataclass(slots=True)
class OrderedPolicy:
    """Decision k uses exactly the outcomes of the segments 0 … k − `window`, in that order.

    So the study is the same whatever the timing. A worker may have to wait for a slow older segment; where
    nothing can be decided, the next oldest outcome is taken in, until something can.
    """

    policy: AsynchronousPolicy
    window: int
    _out: deque[tuple[int, int]] = field(default_factory=deque)
    """Trial and stop of the segments whose outcomes have not been used yet, oldest first."""
    _arrived: dict[tuple[int, int], Outcome] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been tried."""
        return self.policy.exhausted

    def ask(self, left: TimeLeft | None) -> Choice | None:
        """The next segment, or None until the oldest one has ended; what time is left must not matter."""
        while len(self._out) >= self.window:
            if not self._use_oldest():
                return None
        while True:
            choice = self.policy.ask(None)
            if choice is not None:
                self._out.append((choice.trial, choice.stop))
                return choice
            if not self._out or not self._use_oldest():
                return None

    def cycles(self, trial: int) -> tuple[int, ...]:
        """Those of the scheduler."""
        return self.policy.cycles(trial)

    @property
    def shortage(self) -> Shortage | None:
        """None: what is refused depends on time and memory, so that nothing is."""
        return None

    def take_refused(self) -> list[Refused]:
        """Nothing, for the same reason."""
        return []

    def take_stopped(self) -> list[int]:
        """Trials that a result has stopped for good since the last call."""
        return self.policy.take_stopped()

    def tell(self, outcome: Outcome) -> None:
        """Keep it until its turn comes."""
        self._arrived[outcome.trial, outcome.stop] = outcome

    def _use_oldest(self) -> bool:
        outcome = self._arrived.pop(self._out[0], None)
        if outcome is None:
            return False
        self._out.popleft()
        self.policy.tell(outcome)
        return True
