"""Folds: a trial is trained several times, each time validated on other images, and then once on all of them.

Its epochs are counted through: the fold f, from 0, has the epochs f·E + 1 to (f + 1)·E, E being the epochs of
one training, and the training on all images those after the last fold. Without folds there is one training,
which has the epochs 1 to E.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from statistics import median_low, stdev


@dataclass(frozen=True, slots=True)
class Folds:
    """How a trial's epochs, counted through, are divided among its trainings."""

    parts: int
    """Parts that the images are dealt out to, K; 0: there are no folds."""
    repeats: int
    """How often they are dealt out, each time anew."""
    epochs: int
    """Of one training, E."""

    @property
    def number(self) -> int:
        """How many folds there are, K · repeats; 0 without folds."""
        return self.parts * self.repeats

    @property
    def all_epochs(self) -> int:
        """The epochs of all trainings of a trial, the last one on all images included."""
        return (self.number + 1) * self.epochs

    def before(self, epoch: int) -> int:
        """The epochs of the trial before the training that an epoch, 1-based, belongs to."""
        return (epoch - 1) // self.epochs * self.epochs if self.parts else 0

    def fold_of(self, epoch: int) -> int | None:
        """The fold that an epoch, 1-based, belongs to; None: it has all images, or there are no folds."""
        fold = self.before(epoch) // self.epochs
        return fold if fold < self.number else None

    def finished(self, epoch: int) -> int:
        """How many folds have ended when the trial has reached an epoch."""
        return min(self.number, epoch // self.epochs)

    def ends(self, fold: int) -> int:
        """The epoch at which a fold ends."""
        return (fold + 1) * self.epochs

    def last_epochs(self, trained: Container[int], finished: int) -> list[int]:
        """The last epoch of each of the first so many folds, of which some may have stopped early.

        Args:
            trained: the epochs that the trial was trained for.
            finished: folds that have ended.
        """
        found = []
        for fold in range(finished):
            end = self.ends(fold)
            own = (epoch for epoch in range(end, end - self.epochs, -1) if epoch in trained)
            last = next(own, None)
            if last is None:
                break
            found.append(last)
        return found

    def whole_epochs(self, trained: Container[int]) -> int:
        """For how many epochs a trial is trained on all images: as many as its folds took, the median.

        Args:
            trained: the epochs that it was trained for, which are those of all of its folds.
        """
        return median_low(epoch - self.before(epoch) for epoch in self.last_epochs(trained, self.number))

    def standard_error(self, scores: Sequence[float]) -> float | None:
        """The standard error of a mean over folds; None of less than two.

        Folds share most of their training images, so that their scores vary less than those of unrelated
        samples would: the variance of their mean is taken as s² · (1/n + 1/(K − 1)), and not as s²/n (Nadeau
        and Bengio 2003, Machine Learning 52).

        Args:
            scores: of n folds.
        """
        if len(scores) < 2:
            return None
        return stdev(scores) * math.sqrt(1 / len(scores) + 1 / (self.parts - 1))


ONE_TRAINING = Folds(0, 1, 1)
"""There are no folds."""
