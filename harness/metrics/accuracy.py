"""The share of images whose most probable class is the true one."""

from __future__ import annotations

from harness.metrics.metric import Metric, Predictions


def accuracy(found: Predictions) -> float:
    """Hits over images."""
    return float(found.confusion.trace() / len(found.labels))


ACCURACY = Metric("The share of images that get their class.", maximize=True, of=accuracy)
