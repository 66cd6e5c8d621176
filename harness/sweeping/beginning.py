"""New trials: the sampler is asked for a configuration, and again while what it suggests may not be begun."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.records import ConfigurationRefused, Params, Scalar
from harness.sweeping.admission import SHARE, SPARE, Admission, Demands
from harness.sweeping.policy import TimeLeft
from harness.sweeping.refused import Refusal, Refused, Shortage

if TYPE_CHECKING:  # Optuna is imported while workers import TensorFlow
    from harness.sweeping.samplers.sampler import Sampler, Suggestion

ASKS = 20
"""Suggestions in a row that may be refused before the cheapest of the refused ones are looked at."""
MORE_ASKS = 3
"""Suggestions that are asked for after so many refusals, until one may be begun."""
MOST_ASKS = 60
"""The same where it is known that there are configurations that may be begun."""
CHEAPEST = 20
"""How many of these are looked at."""


@dataclass(slots=True)
class NewTrials:
    """Chooses the configurations of new trials.

    All is asked of a configuration's seconds first (see `sweeping.admission`). When the sampler finds nothing
    that meets it, a first rung may also take longer than its share; and as long as no trial can be whole in
    time, any will do that can be trained to its end, be it only just. Where not even the cheapest can, the
    study can do no more than compare configurations by their first epochs, to be trained on with a higher
    limit.
    """

    sampler: Sampler
    admission: Admission
    exhausted: bool = False
    """Whether every configuration of the space has been tried."""
    shortage: Shortage | None = None
    """Why nothing new can be begun; None if something can, as far as is known."""
    note: str = ""
    """A sentence to be told with the trial that was chosen last."""
    _refused: list[Refused] = field(default_factory=list)
    """Refusals that nobody has been told of."""
    _cheapest: list[tuple[float, Refused]] = field(default_factory=list)
    """All that were refused and have not begun, with the seconds that each takes, the cheapest first; what no
    memory holds comes last, the smallest first."""
    _begun: list[Params] = field(default_factory=list)
    """The configurations of all trials."""
    _granted: float = 0.0
    """Seconds that were left when this session began to ask."""
    _in_a_row: int = 0
    """Suggestions that were refused since one was begun."""
    _no_whole: bool = False
    """Whether no configuration can be trained to its end in time, as far as is known."""

    def choose(
        self, number: int, left: TimeLeft | None, *, whole_is_possible: bool = True
    ) -> Suggestion | None:
        """The configuration of trial `number`; None if there is none, for now or for good.

        Args:
            number: the trial's.
            left: what is left of the study's time limit; None for a study without one.
            whole_is_possible: whether some trial is trained to its end, or can still be.
        """
        self.note = ""
        if left is not None:
            self._granted = max(self._granted, left.seconds)
        self._no_whole = self._no_whole and not whole_is_possible
        chosen = None if self.exhausted or self.shortage else self._ask(number, left)
        if chosen is None and not self.exhausted:
            chosen = self._reconsider(number, left, whole_is_possible=whole_is_possible)
        if chosen is not None:
            self.shortage = None
            self._begun.append(chosen.params)
        return chosen

    def take_refused(self) -> list[Refused]:
        """What was refused since the last call."""
        refused, self._refused = self._refused, []
        return refused

    def restore(self, refused: Sequence[ConfigurationRefused], left: TimeLeft | None) -> None:
        """Take over what was refused in earlier sessions for one trial, in order, before the trial itself."""
        self._in_a_row = 0
        for event in refused:
            refusal = Refusal(event.reason, event.needed, event.available)
            excess = refusal.excess if self.admission.still(refusal, left) else None
            self.sampler.restore_refusal(event.number, event.params, event.sampled, excess)
            if excess is not None:
                self._in_a_row += 1
                self._keep(Refused(event.number, event.params, event.sampled, refusal), None)

    def restore_begun(self, every: Iterable[Params]) -> None:
        """These configurations have become trials in earlier sessions."""
        self._begun = list(every)
        keys = {_key(params) for params in self._begun}
        self._cheapest = [(cost, one) for cost, one in self._cheapest if _key(one.params) not in keys]

    def _ask(self, number: int, left: TimeLeft | None) -> Suggestion | None:
        demands = Demands(SHARE * self._granted, 0.0 if self._no_whole else SPARE)
        asks = ASKS if self._in_a_row < ASKS else MORE_ASKS
        for asked in range(MOST_ASKS):
            if asked == asks and not self._any_like_these(left, demands):
                return None
            suggestion = self.sampler.ask(number, cost_weight=left.share if left else 0.0)
            if suggestion is None:
                self.exhausted = not self._cheapest
                return None
            refusal = self.admission.refusal(suggestion.params, left, demands)
            if refusal is None:
                self._in_a_row = 0
                return suggestion
            self._in_a_row += 1
            self.sampler.refuse(number, suggestion, refusal.excess)
            refused = Refused(number, suggestion.params, suggestion.sampled, refusal, suggestion.known_as)
            self._refused.append(refused)
            self._keep(refused, self.admission.costs.seconds_to(refused.params, 0, self.admission.first))
        return None

    def _any_like_these(self, left: TimeLeft | None, demands: Demands) -> bool:
        """Whether one of the configurations that have begun might be begun now, too."""
        return any(self.admission.refusal(one, left, demands) is None for one in self._begun)

    def _keep(self, refused: Refused, first: float | None) -> None:
        """Remember what was refused, with the seconds of its first rung; None: as its refusal tells."""
        refusal = refused.refusal
        if first is None:
            whole = refusal.reason == "full_training"
            first = refusal.needed * (self.admission.first / self.admission.last if whole else 1.0)
        cost = math.inf if refusal.reason == "memory" else first
        insort(self._cheapest, (cost, refused), key=_by_cost)

    def _reconsider(
        self, number: int, left: TimeLeft | None, *, whole_is_possible: bool
    ) -> Suggestion | None:
        """The cheapest of the refused configurations that can be begun all the same."""
        for spare in [SPARE] if whole_is_possible else [SPARE, 1.0, 0.0]:
            for _, refused in self._cheapest[:CHEAPEST]:
                if self.admission.refusal(refused.params, left, Demands(math.inf, spare)) is None:
                    if spare == 0.0 and not self._no_whole:
                        self._no_whole, self.note = True, self._describe(refused, left).no_whole
                    self._cheapest = [entry for entry in self._cheapest if entry[1] is not refused]
                    return self.sampler.readmit(number, refused.params, refused.sampled)
        self.shortage = self._describe(self._cheapest[0][1], left) if self._cheapest else None
        return None

    def _describe(self, cheapest: Refused, left: TimeLeft | None) -> Shortage:
        admission = self.admission
        first = admission.costs.seconds_to(cheapest.params, 0, admission.first)
        return Shortage(
            reason=cheapest.refusal.reason,
            needed=cheapest.refusal.needed,
            memory=admission.memory,
            seconds_left=left.seconds if left else math.inf,
            epoch_seconds=(first or 0.0) / admission.first,
            least_epochs=admission.last,
        )


def _by_cost(entry: tuple[float, Refused]) -> tuple[float, float]:
    return entry[0], entry[1].refusal.needed


def _key(params: Params) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(params.items()))
