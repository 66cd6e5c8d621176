"""Means over the classes that a split holds, in which a rare class counts as much as a common one."""

from __future__ import annotations

from harness.metrics.metric import Metric, Predictions


def precision_macro(found: Predictions) -> float:
    """The mean precision."""
    return float(found.precision[found.held].mean())


def recall_macro(found: Predictions) -> float:
    """The mean recall."""
    return float(found.recall[found.held].mean())


def f1_macro(found: Predictions) -> float:
    """The mean F1."""
    return float(found.f1[found.held].mean())


PRECISION_MACRO = Metric("The mean precision of the classes.", maximize=True, of=precision_macro)
RECALL_MACRO = Metric("The mean recall of the classes.", maximize=True, of=recall_macro)
F1_MACRO = Metric("The mean F1 of the classes.", maximize=True, of=f1_macro)
BALANCED_ACCURACY = Metric(
    "The mean recall of the classes, as scikit-learn calls it.",
    maximize=True,
    of=recall_macro,
    in_tables=False,  # it is the macro recall
)
