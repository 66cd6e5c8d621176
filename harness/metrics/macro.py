"""Means over the classes that a split holds, in which a rare class counts as much as a common one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.metric import Metric, Predictions

if TYPE_CHECKING:
    from harness.metrics.metric import Floats


def precision_macro(found: Predictions) -> float:
    """The mean precision."""
    return float(found.precision[found.held].mean())


def recall_macro(found: Predictions) -> float:
    """The mean recall."""
    return float(found.recall[found.held].mean())


def f1_macro(found: Predictions) -> float:
    """The mean F1."""
    return float(found.f1[found.held].mean())


def precisions_by_image(found: Predictions) -> Floats:
    """The mean precision, and what each image would change of it if it were there more often."""
    return _influences(precision_macro(found), found, found.precision, by_truth=False, by_guess=True)


def recalls_by_image(found: Predictions) -> Floats:
    """The mean recall, and what each image would change of it if it were there more often."""
    return _influences(recall_macro(found), found, found.recall, by_truth=True, by_guess=False)


def f1_by_image(found: Predictions) -> Floats:
    """The mean F1, and what each image would change of it if it were there more often."""
    return _influences(f1_macro(found), found, found.f1, by_truth=True, by_guess=True)


def _influences(mean: float, found: Predictions, ratios: Floats, *, by_truth: bool, by_guess: bool) -> Floats:
    """Values by image whose mean is `mean`, (N,): to first order it changes with them.

    The metric is the mean over classes of `ratios`: hits, once for each of the two ways to count an image,
    over the images that are of the class (`by_truth`) and those that are taken for it (`by_guess`). An image
    adds hits and images to the classes that it counts for, in shares of the images that these have.
    """
    classes, images = found.held.sum(), len(found.labels)
    counted = by_truth * found.confusion.sum(axis=1) + by_guess * found.confusion.sum(axis=0)
    weights = images / classes * found.held / counted.clip(1)
    changes = (by_truth + by_guess) * (found.predicted == found.labels) * weights[found.labels]
    if by_truth:
        changes = changes - (weights * ratios)[found.labels]
    if by_guess:
        changes = changes - (weights * ratios)[found.predicted]
    values: Floats = mean + changes
    return values


PRECISION_MACRO = Metric(
    "The mean precision of the classes.", maximize=True, of=precision_macro, by_image=precisions_by_image
)
RECALL_MACRO = Metric(
    "The mean recall of the classes.", maximize=True, of=recall_macro, by_image=recalls_by_image
)
F1_MACRO = Metric("The mean F1 of the classes.", maximize=True, of=f1_macro, by_image=f1_by_image)
BALANCED_ACCURACY = Metric(
    "The mean recall of the classes, as scikit-learn calls it.",
    maximize=True,
    of=recall_macro,
    in_tables=False,  # it is the macro recall
    by_image=recalls_by_image,
)
