"""Classification metrics of one split from its logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.records import Evaluation

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


def summary(logits: Logits, labels: Labels) -> dict[str, float]:
    """Loss, accuracy, and macro-averaged precision, recall and F1.

    Every class that the split holds counts, also one that was never predicted (as 0); of a class without any
    image in the split nothing is known, so it is left out.
    Counted from one confusion matrix, since this happens after every epoch, where scikit-learn's checks
    of its input would take longer than a small network's training step.

    Args:
        logits: float32 (N, K), N ≥ 1.
        labels: int32 (N,).
    """
    return _summary(logits, labels, _confusion(logits, labels))


def _summary(logits: Logits, labels: Labels, confusion: npt.NDArray[np.int64]) -> dict[str, float]:
    precision, recall, f1, support = _by_class(confusion)
    held = support > 0
    return {
        "loss": cross_entropy(logits, labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        "precision_macro": float(precision[held].mean()),
        "recall_macro": float(recall[held].mean()),
        "f1_macro": float(f1[held].mean()),
        "balanced_accuracy": float(recall[held].mean()),
    }


def _confusion(logits: Logits, labels: Labels) -> npt.NDArray[np.int64]:
    """Rows are true classes, int64 (K, K)."""
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
    confusion = _confusion(logits, labels)
    precision, recall, f1, support = _by_class(confusion)
    per_class: list[dict[str, Any]] = [
        {
            "class": name,
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, name in enumerate(classes)
    ]
    return Evaluation(
        split=split,
        metrics=_summary(logits, labels, confusion),
        per_class=per_class,
        confusion=confusion.tolist(),
    )


def cross_entropy(logits: Logits, labels: Labels) -> float:
    """The mean of −log softmax(logits)[label], in nats."""
    wide = logits.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(wide - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(log_sum - wide[np.arange(len(labels)), labels]))


def softmax(logits: Logits) -> npt.NDArray[np.float32]:
    """Probabilities, float32 (N, K)."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)
