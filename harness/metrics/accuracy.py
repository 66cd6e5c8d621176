"""The share of images whose class is the most probable one, or among the most probable ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.metric import Metric, Predictions

if TYPE_CHECKING:
    from harness.metrics.metric import Floats

BEST = 5
"""How many classes count as the most probable ones."""


def accuracy(found: Predictions) -> float:
    """Hits over images."""
    return float(found.confusion.trace() / len(found.labels))


def hits(found: Predictions) -> Floats:
    """1 for each image that gets its class, else 0."""
    right: Floats = (found.predicted == found.labels).astype(float)
    return right


def hits_of_five(found: Predictions) -> Floats:
    """1 for each image to whose class fewer than five others are preferred, else 0.

    Another class is preferred if its logit is larger; an equal one is not. With five classes or fewer every
    image counts as a hit.
    """
    import numpy as np

    own = found.logits[np.arange(len(found.labels)), found.labels]
    preferred = (found.logits > own[:, None]).sum(axis=1)
    right: Floats = (preferred < BEST).astype(float)
    return right


def top5_accuracy(found: Predictions) -> float:
    """Hits of five over images."""
    return float(hits_of_five(found).mean())


ACCURACY = Metric("The share of images that get their class.", maximize=True, of=accuracy, by_image=hits)
TOP5_ACCURACY = Metric(
    "The share of images whose class is among the five most probable; 1 with five classes or fewer.",
    maximize=True,
    of=top5_accuracy,
    in_tables=False,
    by_image=hits_of_five,
)
