"""Which of several models are averaged, and in which parts, by what they predict for labelled images.

Greedy forward selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004, *Ensemble selection
from libraries of models*): begin with the best model, then add, time and again, the one that makes the
average best, be it one that is in it already, and in the end keep the best average that there was on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Probabilities: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.int32]
Picks: TypeAlias = npt.NDArray[np.int64]
"""How often each of M models is chosen, (M,): its weight is this number by their sum."""
Worth: TypeAlias = Callable[[npt.NDArray[np.floating]], float]
"""How good probabilities (n, K) are for the images in question; larger is better."""

MOST_PICKS = 20
"""After so many an average hardly changes by another one."""


def forward_selection(
    probabilities: Probabilities, labels: Labels, worth: Callable[[Probabilities, Labels], float], most: int
) -> Picks:
    """Choose models one after the other.

    Of several that make the average equally good the one is added with which it is the surest of the true
    classes (the log loss), then the first; of averages that are equally good the one of the fewest models is
    kept, then that of the fewest picks.

    Args:
        probabilities: of M models for n images and K classes, (M, n, K); of equals the preferred model first.
        labels: the true classes, (n,).
        worth: how good probabilities (n, K) are for these labels; larger is better.
        most: models that may be averaged, at least 1.

    Returns:
        Picks (M,) of `most` models at most. With one model alone nothing is better than it.
    """
    picks = np.zeros(len(probabilities), np.int64)
    total = np.zeros(probabilities.shape[1:])
    kept, merit = picks, (-np.inf, 0)
    for count in range(1, MOST_PICKS + 1):
        chosen = np.flatnonzero(picks)
        open_to = range(len(picks)) if len(chosen) < most else chosen.tolist()
        found = []
        for model in open_to:
            mean = (total + probabilities[model]) / count
            found.append((worth(mean, labels), -log_loss(mean, labels), -model))
        value, _, index = max(found)
        picks[-index] += 1
        total += probabilities[-index]
        if (value, -int((picks > 0).sum())) > merit:
            kept, merit = picks.copy(), (value, -int((picks > 0).sum()))
    return kept


def best_in_equal_parts(
    probabilities: Probabilities, labels: Labels, worth: Callable[[Probabilities, Labels], float], number: int
) -> Picks:
    """One pick of each of the models that are best alone.

    Args:
        probabilities: as of `forward_selection`.
        labels: as there.
        worth: as there.
        number: how many, at most M.
    """
    alone = [worth(one, labels) for one in probabilities]
    order = sorted(range(len(alone)), key=lambda model: (-alone[model], model))
    picks = np.zeros(len(alone), np.int64)
    picks[order[:number]] = 1
    return picks


def averaged(probabilities: Probabilities, picks: Picks) -> Probabilities:
    """The mean of models' probabilities, each counted as often as it was picked, (n, K)."""
    chosen = np.flatnonzero(picks)
    weights = picks[chosen] / picks.sum()
    mean: Probabilities = np.tensordot(weights, probabilities[chosen], 1).astype(np.float32)
    return mean


def log_loss(probabilities: npt.NDArray[np.floating], labels: Labels) -> float:
    """The mean of −log of the true class's probability, in nats."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())
