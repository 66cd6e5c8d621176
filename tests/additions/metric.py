"""The best recall of a class."""

from __future__ import annotations

from harness.metrics.metric import Metric, Predictions


def top_class(found: Predictions) -> float:
    """The largest recall."""
    return float(found.recall[found.held].max())


TOP_CLASS = Metric("The recall of the class that is recognised best.", maximize=True, of=top_class)
