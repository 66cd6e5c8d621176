"""Classification metrics of one split from its logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.metrics import METRICS
from harness.metrics.metric import Predictions
from harness.records import Evaluation

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


def summary(logits: Logits, labels: Labels) -> dict[str, float]:
    """Every metric of `harness.metrics` by its name.

    Every class that the split holds counts, also one that was never predicted (as 0); of a class without any
    image in the split nothing is known, so it is left out.
    Counted from one confusion matrix, since this happens after every epoch, where scikit-learn's checks
    of its input would take longer than a small network's training step.

    Args:
        logits: float32 (N, K), N ≥ 1.
        labels: int32 (N,).
    """
    return _values(_predictions(logits, labels))


def _predictions(logits: Logits, labels: Labels) -> Predictions:
    confusion = _confusion(logits, labels)
    precision, recall, f1, support = _by_class(confusion)
    return Predictions(logits, labels, confusion, precision, recall, f1, support > 0)


def _values(found: Predictions) -> dict[str, float]:
    return {name: metric.of(found) for name, metric in METRICS.items()}


def _confusion(logits: Logits, labels: Labels) -> npt.NDArray[np.int64]:
    """The confusion matrix, int64 (K, K); its rows are true classes."""
    classes = logits.shape[1]
    cells = np.bincount(labels * classes + logits.argmax(axis=1), minlength=classes * classes)
    return cells.reshape(classes, classes)


def _by_class(confusion: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Precision, recall, F1 and support, each (K,); 0 where there is nothing to divide by."""
    hits, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    return precision, recall, f1, support


def evaluation(
    split: Literal["validation", "test"], logits: Logits, labels: Labels, classes: Sequence[str]
) -> Evaluation:
    """The summary, the per-class table and the confusion matrix of one split."""
    found = _predictions(logits, labels)
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


def softmax(logits: Logits) -> npt.NDArray[np.float32]:
    """Probabilities, float32 (N, K)."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)
