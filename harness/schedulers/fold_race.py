"""Folds as rungs: a trial pauses at the end of each, and gets the next one unless it is clearly behind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from harness.records import TrialState
from harness.schedulers.protocol import Promotion, Values
from harness.schedulers.ranking import best_first

UNJUDGED = 2
"""Folds that every trial is given."""
BEHIND = 2.0
"""Standard errors of the difference by which a trial that is clearly behind is worse than the leader."""
JUDGES = 4
"""Trials with so many folds before one is judged, unless no more will start: differences between less say
little of how much they vary."""

ROUNDING = 1e-9
"""Differences up to this are none: scores of folds are found again from means."""


@dataclass(slots=True)
class FoldRace:
    """A race over folds (as in Maron and Moore 1994, and Birattari et al. 2002, over other test cases).

    Every trial is given `UNJUDGED` folds. Then it is compared with the leader, who is the best by the mean
    over all F folds, or over those that the trial has if nobody has all: by the mean of the differences on
    the folds that both have. How much such a difference varies from fold to fold, s², is taken from all
    trials together. What is asked is whether the trial could still be the better one by the mean over all
    folds, from which a mean over n of them differs with the variance s² · (1/n − 1/F). A trial that is behind
    by more than `BEHIND` standard errors, with several objectives in each of them, is not given another fold,
    as long as that is so.

    Whoever has all folds and is not beaten in all objectives, nor by somebody on the way on the folds that
    that one has, goes on to the end at once: the training on all images. So there always is a model of the
    best so far.
    """

    folds: int
    """F, the repeated ones included."""
    epochs: int
    """Of one training."""
    judging: bool = True
    """Whether trials that are clearly behind are left behind; else every trial is trained to its end."""
    _scores: dict[int, list[Values]] = field(default_factory=dict)
    """By trial, the objectives of each of its folds."""
    _waiting: dict[int, int] = field(default_factory=dict)
    """By trial, the folds that it has had; it waits for the next."""
    _in_flight: set[int] = field(default_factory=set)
    _whole: dict[int, Values] = field(default_factory=dict)
    """The means of the trials that have all folds."""
    _gaps: dict[tuple[int, int], _Gaps] = field(default_factory=dict)
    """By leader and objective, since the last result: a large study asks often."""

    @property
    def rungs(self) -> list[int]:
        """The ends of folds, and that of the training on all images."""
        return [self.epochs * training for training in range(1, self.folds + 2)]

    def cycles(self, trial: int) -> tuple[int, ...]:
        """One over each training."""
        return (self.epochs,)

    def start(self, trial: int) -> int:
        """The end of the first fold."""
        self._in_flight.add(trial)
        return self.epochs

    def report(self, trial: int, epoch: int, values: Values) -> bool:
        """Enter the means over all folds so far, of which those of the last fold are found again.

        An epoch within a fold (an interrupted segment) decides nothing, and a trial without a score goes no
        further.
        """
        had, rest = divmod(epoch, self.epochs)
        if rest or had > self.folds:
            return False
        self._in_flight.discard(trial)
        known = self._scores.setdefault(trial, [])
        if had == len(known) + 1 and all(map(math.isfinite, values)):
            before = [sum(one) for one in zip(*known, strict=True)] or [0.0] * len(values)
            known.append(tuple(had * mean - total for mean, total in zip(values, before, strict=True)))
            self._gaps.clear()
            if had == self.folds:
                self._whole[trial] = values
        if len(known) == had:
            self._waiting[trial] = had
        return False

    def end(self, trial: int, state: TrialState) -> None:
        """It goes no further; the scores of a failed one count for nothing."""
        self._waiting.pop(trial, None)
        self._in_flight.discard(trial)
        if state == "failed":
            self._scores.pop(trial, None)
            self._whole.pop(trial, None)
            self._gaps.clear()

    def mark_promoted(self, trial: int, epoch: int, stop: int) -> None:
        """The trial goes on."""
        if epoch % self.epochs == 0 and self._waiting.pop(trial, None) is not None:
            self._in_flight.add(trial)

    def promote_next(self, *, all_started: bool) -> Promotion | None:
        """The best with all folds, to the end; else whoever may have another fold, those with most first."""
        settled = all_started and not self._in_flight
        for trial in self._by_folds():
            had = self._waiting[trial]
            if self._may_go_on(trial, had, settled=settled):
                promotion = self._promotion(trial, had)
                self.mark_promoted(trial, promotion.start, promotion.stop)
                return promotion
        return None

    def candidates(self) -> Iterator[Promotion]:
        """The best so far, those with the most folds first."""
        for trial in self._by_folds():
            had = self._waiting[trial]
            if had < self.folds or self._is_unbeaten(trial):
                yield self._promotion(trial, had)

    def _promotion(self, trial: int, had: int) -> Promotion:
        start = had * self.epochs
        return Promotion(trial, start, start + self.epochs, end=self.rungs[-1])

    def _by_folds(self) -> list[int]:
        """Waiting trials: those with the most folds first, of equally many the best first."""
        ordered: list[int] = []
        for had in sorted(set(self._waiting.values()), reverse=True):
            ordered += best_first(
                {one: self._mean(one, had) for one, own in self._waiting.items() if own == had}
            )
        return ordered

    def _mean(self, trial: int, folds: int) -> Values:
        return tuple(fmean(values) for values in zip(*self._scores[trial][:folds], strict=True))

    def _may_go_on(self, trial: int, had: int, *, settled: bool) -> bool:
        if not self.judging or had < UNJUDGED:
            return True
        if had == self.folds:
            return self._is_unbeaten(trial) and not self._is_being_overtaken(trial)
        judged = sum(len(scores) >= UNJUDGED for scores in self._scores.values())
        return (settled or judged >= JUDGES) and not self._is_behind(trial, had)

    def _is_unbeaten(self, trial: int) -> bool:
        """Whether no trial with all folds is as good in all objectives; of equals the one started first."""
        mine = self._whole[trial]
        return not any(
            all(a >= b for a, b in zip(other, mine, strict=True)) and (other != mine or number < trial)
            for number, other in self._whole.items()
            if number != trial
        )

    def _is_being_overtaken(self, trial: int) -> bool:
        """Whether a trial on its way is better on the folds that it has had, if it has had enough."""
        for other in self._in_flight | self._waiting.keys():
            had = len(self._scores.get(other, ()))
            if not UNJUDGED <= had < self.folds:
                continue
            if other in self._waiting and self._is_behind(other, had):
                continue  # it waits for good
            theirs, mine = self._mean(other, had), self._mean(trial, had)
            if all(a > b for a, b in zip(theirs, mine, strict=True)):
                return True
        return False

    def _is_behind(self, trial: int, had: int) -> bool:
        """Whether the leader is clearly better on the folds that the trial has."""
        compared = self._whole or {
            one: self._mean(one, had) for one, scores in self._scores.items() if len(scores) >= had
        }
        leader = best_first(compared)[0]
        return leader != trial and all(
            self._gaps_to(leader, objective).is_clear(trial, self.folds)
            for objective in range(len(compared[leader]))
        )

    def _gaps_to(self, leader: int, objective: int) -> _Gaps:
        if (leader, objective) not in self._gaps:
            best = self._scores[leader]
            self._gaps[leader, objective] = _Gaps.of(
                {
                    trial: [a[objective] - b[objective] for a, b in zip(best, scores, strict=False)]
                    for trial, scores in self._scores.items()
                    if trial != leader
                }
            )
        return self._gaps[leader, objective]


@dataclass(frozen=True, slots=True)
class _Gaps:
    """How much better a leader is than each trial in one objective, on the folds that both have."""

    differences: Mapping[int, list[float]]
    """By trial, fold by fold."""
    variance: float
    """Of a difference from fold to fold, of all trials together; 0 if nothing is known of it."""

    @classmethod
    def of(cls, differences: Mapping[int, list[float]]) -> _Gaps:
        squares, degrees = 0.0, 0
        for own in filter(None, differences.values()):
            middle = fmean(own)
            squares += sum((one - middle) ** 2 for one in own)
            degrees += len(own) - 1
        return cls(differences, squares / degrees if degrees else 0.0)

    def is_clear(self, trial: int, folds: int) -> bool:
        """Whether the trial is behind by more than `BEHIND` standard errors, with so many folds in all."""
        mine = self.differences[trial]
        error = math.sqrt(self.variance * (1 / len(mine) - 1 / folds))
        return fmean(mine) > max(ROUNDING, BEHIND * error)
