"""Classification metrics of one split from its logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.metrics import METRICS
from harness.metrics.counting import predictions_of
from harness.metrics.metric import Predictions
from harness.records import Evaluation

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


def summary(logits: Logits, labels: Labels) -> dict[str, float]:
    """Every metric of `harness.metrics` by its name.

    Every class that the split holds counts, also one that was never predicted (as 0); of a class without any
    image in the split nothing is known, so it is left out.

    Args:
        logits: float32 (N, K), N ≥ 1.
        labels: int32 (N,).
    """
    return _values(predictions_of(logits, labels))


def _values(found: Predictions) -> dict[str, float]:
    return {name: metric.of(found) for name, metric in METRICS.items()}


def evaluation(
    split: Literal["validation", "test"], logits: Logits, labels: Labels, classes: Sequence[str]
) -> Evaluation:
    """The summary, the per-class table and the confusion matrix of one split."""
    found = predictions_of(logits, labels)
    support = found.confusion.sum(axis=1)
    per_class: list[dict[str, Any]] = [
        {
            "class": name,
            "precision": float(found.precision[index]),
            "recall": float(found.recall[index]),
            "f1": float(found.f1[index]),
            "support": int(support[index]),
        }
        for index, name in enumerate(classes)
    ]
    return Evaluation(
        split=split,
        metrics=_values(found),
        per_class=per_class,
        confusion=found.confusion.tolist(),
    )
