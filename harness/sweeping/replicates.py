"""The policy of a confirmation: a fixed list of configurations, each trained to its end on several seeds.

The order is the first seed of all configurations, the second of all, and so on. After `JUDGED` seeds each,
those that are clearly behind get no more, except the sweep's best; until that is known nobody gets a
further one. A configuration that fails on one seed gets no more either. Everything follows from the
configurations and the study's log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.comparison.seeds import clearly_behind
from harness.experiment.confirmation import ConfirmationConfig
from harness.records import LogRecord
from harness.schedulers.protocol import Values
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.asynchronous import Restored
from harness.sweeping.policy import Choice, Outcome, TimeLeft
from harness.sweeping.refused import Refused, Shortage

JUDGED = 2
"""Seeds of every configuration after which those that are clearly behind get no more."""
SWEEPS_BEST = 0
"""The position of the configuration that was the best in the sweep: it gets all seeds, for these also tell
how much of its score there was luck."""


@dataclass(slots=True)
class ReplicatesPolicy:
    """Hands out the trainings of a confirmation."""

    confirmation: ConfirmationConfig
    epochs: int
    """Of a full training, with folds of all trainings of a trial."""
    maximize: bool
    """Whether larger scores are better."""
    _places: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By trial, its configuration and its seed, as positions in their lists."""
    _scores: dict[tuple[int, int], float | None] = field(default_factory=dict)
    """By configuration and seed, larger-is-better; None for a training that failed."""

    @property
    def exhausted(self) -> bool:
        """Whether fewer trainings than were listed have brought all there is to know."""
        return len(self._places) < self.confirmation.trainings and self._next() is None

    @property
    def shortage(self) -> Shortage | None:
        """None: nothing is refused."""
        return None

    def ask(self, left: TimeLeft | None) -> Choice | None:
        """The next training; a time limit ends the one that it falls into, which goes on on a resume."""
        from harness.sweeping.samplers.sampler import Suggestion

        place = self._next()
        if place is None:
            return None
        number, (index, position) = len(self._places), place
        self._places[number] = place
        chosen = self.confirmation.configurations[index]
        seed = self.confirmation.seeds[position]
        suggestion = Suggestion(dict(chosen.params), dict(chosen.sampled), seed)
        return Choice(number, self._epochs_of(index), suggestion, annealing=chosen.ends_early)

    def _epochs_of(self, index: int) -> int:
        """The epochs of each training of a configuration."""
        annealing = self.confirmation.configurations[index].annealing
        return annealing.stop if annealing else self.epochs

    def cycles(self, trial: int) -> tuple[int, ...]:
        """Those that the configuration's trial had."""
        index, _ = self._places[trial]
        return tuple(self.confirmation.configurations[index].cycles) or (self.epochs,)

    def tell(self, outcome: Outcome) -> None:
        """Take in how a training ended."""
        if outcome.state is not None:
            known = outcome.final if outcome.state == "complete" else None
            self._take(outcome.trial, known[0] if known else None)

    def take_refused(self) -> list[Refused]:
        """Nothing: nothing is refused."""
        return []

    def take_stopped(self) -> list[int]:
        """Nothing: a training that has begun is trained to its end."""
        return []

    def restore(
        self,
        state: StudyState,
        records: Sequence[LogRecord],
        values_at: Callable[[Trial, int], Values],
        left: TimeLeft | None = None,
    ) -> Restored:
        """Take over what the study's log holds; as of `AsynchronousPolicy`."""
        unfinished: list[tuple[int, int]] = []
        for trial in state.trials.values():
            place = self.confirmation.place(trial.params, trial.seed)
            assert place is not None, "a confirmation begins no other trial"
            self._places[trial.number] = place
            if trial.has_ended:
                self._take(trial.number, trial.score if trial.state == "complete" else None)
            else:
                unfinished.append((trial.number, self._epochs_of(place[0])))
        return Restored(unfinished, 0)

    def _take(self, trial: int, score: float | None) -> None:
        upwards = None if score is None else score if self.maximize else -score
        self._scores[self._places[trial]] = upwards

    def _next(self) -> tuple[int, int] | None:
        """The next training that may begin; None if there is none, for now or for good."""
        begun = set(self._places.values())
        for place in self._listed():
            if place not in begun:
                return place
        return None

    def _listed(self) -> Iterator[tuple[int, int]]:
        """The trainings that may have begun by now, in their order."""
        out = {index for (index, _), score in self._scores.items() if score is None}
        indices = range(len(self.confirmation.configurations))
        for position in range(len(self.confirmation.seeds)):
            if position == JUDGED:
                behind = self._behind()
                if behind is None:
                    return
                out |= behind
            yield from ((index, position) for index in indices if index not in out)

    def _behind(self) -> set[int] | None:
        """Configurations whose first seeds are clearly behind; None while some of these are still trained."""
        first: dict[int, list[float]] = {}
        for index in range(len(self.confirmation.configurations)):
            known = [self._scores.get((index, position), math.nan) for position in range(JUDGED)]
            scores = [score for score in known if score is not None]
            if len(scores) < JUDGED:
                continue  # it has failed
            if any(map(math.isnan, scores)):
                return None
            first[index] = scores
        return clearly_behind(first) - {SWEEPS_BEST}
