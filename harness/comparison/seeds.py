"""Configurations that were each trained on several seeds: intervals of their means, and which is the best.

Scores are larger-is-better, those of one configuration are taken for independent and about normal. Between
five seeds nothing else would do: a bootstrap of five values covers far less than it says.

**The best** is declared if Welch's test tells it from each of the others at the two-sided level of 5 %. No
correction is needed for there being several others, nor for the best having been chosen by the same scores:
the hardest case is that two are equally good and all others far behind, and in it the choice of the better
one makes of the one-sided test the two-sided one (Gutmann and Maymin 1987, Hung and Fithian 2019). With
more that are equally good the error is far smaller. Each pair's own variances are used, for configurations
differ in how much their seeds differ. The differences are not taken seed by seed, although the
configurations share their seeds: it would leave half of the degrees of freedom, and what two networks with
the same seed have in common is little; as far as it is something, the test is the more cautious for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, variance
from typing import NamedTuple

CONFIDENCE = 0.95
"""Of every interval."""
LEVEL = 1 - CONFIDENCE
"""Of every test."""
LEAST = 2
"""Scores of which an interval can be told."""


class Interval(NamedTuple):
    """Where a figure lies, at the confidence of `CONFIDENCE`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the mean of one configuration is above that of another."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the first one is told to be better."""
        return self.low > 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the seeds tell of several configurations."""

    order: tuple[int, ...]
    """All of them, the best mean first; of equals the one that was named first."""
    behind: Mapping[int, Difference]
    """By configuration, how far it is behind the best; none for the best itself."""
    tied: tuple[int, ...]
    """Those that cannot be told from the best, the best itself first."""

    @property
    def best(self) -> int:
        """The one with the best mean."""
        return self.order[0]

    @property
    def is_declared(self) -> bool:
        """Whether the best one is told from every other."""
        return len(self.tied) == 1


def mean_interval(scores: Sequence[float]) -> Interval:
    """The t interval of the mean of a configuration that was not chosen by these scores.

    Args:
        scores: one for each seed; with fewer than two the interval is endless.
    """
    if len(scores) < LEAST:
        return Interval(-math.inf, math.inf)
    half = _t(1 - LEVEL / 2, len(scores) - 1) * _standard_error(scores)
    return Interval(fmean(scores) - half, fmean(scores) + half)


def chosen_interval(scores: Sequence[float], among: int) -> Interval:
    """The interval of the mean of the configuration that was chosen because it has the best one of several.

    Whoever takes the best of several takes luck with it: of five that are equally good, the t interval of the
    best covers the truth in less than nine cases of ten. Its lower end therefore allows for the highest of so
    many (the studentized maximum). What is covered is the mean over all seeds of the configuration that was
    chosen, whichever that is: in 95 % of all cases if all are equally good, and in 96 to 98 % if some are
    behind.

    Args:
        scores: of the chosen one, one for each seed; with fewer than two the interval is endless.
        among: how many there were to choose from, itself included.
    """
    if len(scores) < LEAST:
        return Interval(-math.inf, math.inf)
    mean, error, freedom = fmean(scores), _standard_error(scores), len(scores) - 1
    upper = _t(1 - LEVEL / 2, freedom)
    return Interval(mean - max(upper, studentized_maximum(among, freedom)) * error, mean + upper * error)


def difference(one: Sequence[float], other: Sequence[float]) -> Difference:
    """By how much the mean of `one` is above that of `other`, with Welch's interval.

    Args:
        one: scores of a configuration, one for each seed.
        other: those of another; of either at least two.
    """
    value = fmean(one) - fmean(other)
    parts = [(variance(scores) / len(scores), len(scores) - 1) for scores in (one, other)]
    square = sum(part for part, _ in parts)
    if square == 0:
        return Difference(value, value, value)
    freedom = square**2 / sum(part**2 / degrees for part, degrees in parts)
    half = _t(1 - LEVEL / 2, freedom) * math.sqrt(square)
    return Difference(value, value - half, value + half)


def compare(scores: Mapping[int, Sequence[float]], dropped: Mapping[int, Sequence[float]]) -> Comparison:
    """Which configuration is the best, and which ones cannot be told from it.

    Args:
        scores: at least two by configuration, of one configuration or more.
        dropped: likewise, of those that `clearly_behind` has named; they count as told from the best.
    """
    order = _in_order(scores)
    best = order[0]
    behind = {one: difference(scores[best], scores[one]) for one in order[1:]}
    behind |= {one: difference(scores[best], dropped[one]) for one in _in_order(dropped)}
    tied = (best, *(one for one in order[1:] if not behind[one].is_clear))
    return Comparison((*order, *_in_order(dropped)), behind, tied)


def clearly_behind(scores: Mapping[int, Sequence[float]]) -> set[int]:
    """Configurations that need no further seeds, because they are clearly behind the best.

    They are further behind than the best and the worst of as many that are equally good ever come apart,
    but for one case in twenty: Tukey's studentized range, with the variance of all. The best two are never
    among them, for whoever is to be told from the others needs somebody to be told from.

    Args:
        scores: by configuration, equally many of each and at least two.
    """
    count = min(map(len, scores.values()), default=0)
    if len(scores) <= LEAST or count < LEAST:
        return set()
    pooled = fmean(variance(found) for found in scores.values())
    width = studentized_range(len(scores), len(scores) * (count - 1))
    order = _in_order(scores)
    limit = fmean(scores[order[0]]) - width * math.sqrt(pooled / count)
    return {one for one in order[LEAST:] if fmean(scores[one]) < limit}


@lru_cache(maxsize=256)
def studentized_maximum(among: int, freedom: int) -> float:
    """What the highest of so many t values with the same denominator exceeds in one case of twenty.

    Args:
        among: the number of values, at least 1.
        freedom: degrees of freedom of the denominator.
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq
    from scipy.stats import chi, norm

    def coverage(limit: float) -> float:
        def inside(ratio: float) -> float:
            return float(norm.cdf(limit * ratio / math.sqrt(freedom)) ** among * chi.pdf(ratio, freedom))

        return float(quad(inside, 0, math.inf)[0])

    return float(brentq(lambda limit: coverage(limit) - CONFIDENCE, 0.0, 1000.0))


@lru_cache(maxsize=256)
def studentized_range(among: int, freedom: int) -> float:
    """What the highest and lowest of so many t values with one denominator differ by, in one case of twenty.

    Args:
        among: the number of values, at least 2.
        freedom: degrees of freedom of the denominator.
    """
    from scipy.stats import studentized_range as distribution

    return float(distribution.ppf(CONFIDENCE, among, freedom))


def _in_order(scores: Mapping[int, Sequence[float]]) -> list[int]:
    return sorted(scores, key=lambda one: -fmean(scores[one]))


def _standard_error(scores: Sequence[float]) -> float:
    return math.sqrt(variance(scores) / len(scores))


@lru_cache(maxsize=4096)
def _t(probability: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(probability, freedom))
