"""The race over folds: who gets how many, and who is trained on all images."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.schedulers.fold_race import UNJUDGED, FoldRace
from harness.schedulers.protocol import Values

EPOCHS = 3
Score = Callable[[int, int], Values | None]
"""The objectives of a trial on a fold; None: it fails there."""


@dataclass
class Race:
    """A study whose workers train what the scheduler says, and end in any order."""

    scheduler: FoldRace
    trials: int
    score: Score
    workers: int = 1
    choose: Any = None
    scores: dict[int, list[Values]] = field(default_factory=dict)
    """By trial, of each fold that it was given."""
    failed: set[int] = field(default_factory=set)
    retrained: list[int] = field(default_factory=list)

    def run(self) -> Race:
        scheduler, folds = self.scheduler, self.scheduler.folds
        running: dict[int, int] = {}
        while True:
            while len(running) < self.workers:
                promotion = scheduler.promote_next(all_started=len(self.scores) == self.trials)
                if promotion is not None:
                    assert promotion.trial not in running
                    assert promotion.start == EPOCHS * len(self.scores[promotion.trial])
                    assert promotion.stop == promotion.start + EPOCHS
                    running[promotion.trial] = promotion.stop
                elif len(self.scores) < self.trials:
                    trial = len(self.scores)
                    self.scores[trial] = []
                    running[trial] = scheduler.start(trial)
                else:
                    break
            if not running:
                return self
            trial = self.choose.choice(sorted(running)) if self.choose else min(running)
            stop = running.pop(trial)
            if stop == scheduler.rungs[-1]:
                self.retrained.append(trial)
                scheduler.end(trial, "complete")
                continue
            found = self.score(trial, stop // EPOCHS - 1)
            if found is None:
                self.failed.add(trial)
                scheduler.end(trial, "failed")
                continue
            own = self.scores[trial]
            own.append(found)
            assert len(own) <= folds
            means = tuple(fmean(values) for values in zip(*own, strict=True))
            assert not scheduler.report(trial, stop, means)

    def mean(self, trial: int) -> float:
        return fmean(values[0] for values in self.scores[trial])

    @property
    def whole(self) -> list[int]:
        """Trials with all folds."""
        number = self.scheduler.folds
        return [one for one, own in self.scores.items() if len(own) == number and one not in self.failed]


@settings(max_examples=60, deadline=None)
@given(
    folds=st.integers(2, 7), trials=st.integers(1, 15), workers=st.integers(1, 4), seed=st.integers(0, 999),
    spread=st.sampled_from([0.0, 0.01, 0.1]), objectives=st.integers(1, 2), failing=st.sampled_from([0, 0.1]),
    choose=st.randoms(use_true_random=False),
)  # fmt: skip
def test_every_race_ends_with_its_best_trained_on_all_images(
    folds: int, trials: int, workers: int, seed: int, spread: float, objectives: int, failing: float,
    choose: Any,
) -> None:  # fmt: skip
    rng = random.Random(seed)
    true = [rng.gauss(0.8, spread) for _ in range(trials)]

    def score(trial: int, fold: int) -> Values | None:
        own = random.Random(f"{seed} {trial} {fold}")
        if own.random() < failing:
            return None
        return tuple(true[trial] + own.gauss(0, 0.02) for _ in range(objectives))

    race = Race(FoldRace(folds, EPOCHS), trials, score, workers, choose).run()
    given_to = {one: len(own) for one, own in race.scores.items() if one not in race.failed}
    assert all(number >= min(UNJUDGED, folds) for number in given_to.values())
    assert len(set(race.retrained)) == len(race.retrained)
    assert set(race.retrained) <= set(race.whole)
    if race.whole:
        best = max(race.whole, key=lambda one: (race.mean(one), -one))
        assert best in race.retrained
    else:
        assert not given_to, "the best of those that have not failed gets all folds"


def test_whoever_is_clearly_behind_is_left_behind() -> None:
    """One in four is better by ten times the noise: the others get the two folds that everybody gets."""

    def score(trial: int, fold: int) -> Values:
        noise = random.Random(f"{trial} {fold}").gauss(0, 0.01)
        return ((0.9 if trial % 4 == 0 else 0.8) + 0.05 * fold + noise,)

    race = Race(FoldRace(5, EPOCHS), 20, score).run()
    assert all(len(race.scores[one]) == UNJUDGED for one in range(20) if one % 4)
    assert len(race.whole) >= 3


def test_equals_are_not_told_apart_and_get_about_all_folds() -> None:
    def score(trial: int, fold: int) -> Values:
        return (random.Random(f"{trial}-{fold}").gauss(0.8, 0.02),)

    race = Race(FoldRace(5, EPOCHS), 30, score).run()
    assert sum(map(len, race.scores.values())) > 0.8 * 5 * 30
    assert len(race.retrained) <= 8, "about as many as a random order has records"


def test_without_judging_every_trial_is_trained_to_its_end() -> None:
    race = Race(FoldRace(3, EPOCHS, judging=False), 6, lambda trial, _: (float(trial),)).run()
    assert {len(own) for own in race.scores.values()} == {3}
    assert sorted(race.retrained) == [0, 1, 2, 3, 4, 5]


def test_the_candidates_for_the_end_of_a_time_limit_are_the_best_with_the_most_folds() -> None:
    scheduler = FoldRace(3, EPOCHS)
    for trial, scores in enumerate([[0.5, 0.5, 0.5], [0.7, 0.7, 0.7], [0.9, 0.9], [0.95]]):
        scheduler.start(trial)
        for fold in range(len(scores)):
            scheduler.report(trial, (fold + 1) * EPOCHS, (fmean(scores[: fold + 1]),))
    found = list(scheduler.candidates())
    assert [(one.trial, one.start, one.stop, one.end) for one in found] == [
        (1, 9, 12, 12), (2, 6, 9, 12), (3, 3, 6, 12)
    ]  # fmt: skip
