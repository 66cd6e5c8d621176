"""Compare trials image by image: what one gets right and the other does not tells more than two scores do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from harness.analysis.bootstrap import LEVEL, Counts, Floats, Interval, resampled_means, share_interval

POWER = 0.8
"""How probable it is that as many images as are said to be needed do tell two trials apart."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test of two trials that classified the same images."""

    only_first: int
    """Images that the first gets right and the second does not."""
    only_second: int
    p: float
    """How probable it is, if both are equally good, that these two numbers differ as much or more."""


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test: whether two trials get equally many images right.

    Two-sided, from the binomial distribution. It is never wrong more often than its level says, also with the
    few images on which two good trials differ; its mid-p variant and the one with a χ² distribution are.

    Args:
        first: whether the first trial got each image right, (n,).
        second: the same of the second trial.
    """
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    differing, fewer = only_first + only_second, min(only_first, only_second)
    ways, total = 1, 0
    for count in range(fewer + 1):
        total += ways
        ways = ways * (differing - count) // (count + 1)
    return McNemar(only_first, only_second, min(1.0, 2 * total / 2**differing))


def accuracy_difference(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Interval:
    """Where the difference of two trials' accuracies lies, with a probability of 95 %.

    Newcombe's interval of paired shares (1998, his method 10): Wilson's intervals of both accuracies, joined
    with regard to how much the two err on the same images. Unlike a bootstrap it holds for few images, and
    where the two differ on hardly any.

    Args:
        first: whether the first trial got each image right, (n,), n ≥ 1.
        second: the same of the second trial.
    """
    images = len(first)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    rights = both + only_first, both + only_second
    one, other = (share_interval(hits, images) for hits in rights)
    assert one is not None
    assert other is not None
    shares = rights[0] / images, rights[1] / images
    margins = math.prod(hits * (images - hits) for hits in rights)
    excess = both * neither - only_first * only_second
    corrected = max(0.0, excess - images / 2) if excess > 0 else excess  # for continuity, as he does
    phi = corrected / math.sqrt(margins) if margins else 0.0

    def reach(up: float, down: float) -> float:
        return math.sqrt(max(0.0, up * up - 2 * phi * up * down + down * down))

    value = shares[0] - shares[1]
    return Interval(
        value - reach(shares[0] - one.low, other.high - shares[1]),
        value + reach(one.high - shares[0], shares[1] - other.low),
    )


def images_needed(differences: Floats) -> int | None:
    """How many images would tell two trials apart if they differ as they do on these.

    With n images the mean difference d has the standard error s/√n, s being the standard deviation of the
    differences by image. A test at 5 % finds it with a probability of 80 % if n = ((1.96 + 0.84)·s/d)². The
    best of several trials looks better than it is, so that more are needed then.

    Args:
        differences: of the values by image of two trials, (n,), n ≥ 2.

    Returns:
        The number; None if the two do not differ on the whole.
    """
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if abs(mean) <= 1e-12:
        return None
    normal = NormalDist()
    factor = normal.inv_cdf((1 + LEVEL) / 2) + normal.inv_cdf(POWER)
    return max(1, math.ceil((factor * spread / mean) ** 2))


def could_be_best(values: Floats, counts: Counts, level: float = LEVEL) -> npt.NDArray[np.bool_]:
    """Which trials the images do not show to be worse than another one.

    For each trial the others' leads over it, in standard errors, are compared with how large the largest of
    them becomes by chance: in `level` of the resamples, which keep it in view that all trials saw the same
    images. So the trial that is best in truth is among those found with this probability, however many trials
    there are: with every trial tested against the best alone, the best of many equal ones would seem to be
    better than most.

    Args:
        values: larger is better, of M trials for n images, (M, n).
        counts: of B resamples, (B, n).
        level: the probability.

    Returns:
        By trial, (M,).
    """
    means, images = values.mean(axis=1), values.shape[1]
    deviations = values - means[:, None]
    covariance = deviations @ deviations.T / images**2
    variances = covariance.diagonal()
    noise = resampled_means(values, counts) - means
    found = np.ones(len(values), bool)
    for trial in range(len(values)):
        errors = np.sqrt(np.maximum(variances + variances[trial] - 2 * covariance[trial], 0))
        others = errors > 1e-9
        if others.any():
            leads = (means - means[trial])[others] / errors[others]
            by_chance = ((noise - noise[:, [trial]])[:, others] / errors[others]).max(axis=1)
            found[trial] = leads.max() <= np.quantile(by_chance, level)
    return found
