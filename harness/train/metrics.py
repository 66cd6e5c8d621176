"""Classification metrics of one split from its logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from harness.records import Evaluation

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


def summary(logits: Logits, labels: Labels) -> dict[str, float]:
    """Loss, accuracy, and macro-averaged precision, recall and F1.

    Every class counts, also one that the split does not hold or that was never predicted (as 0).

    Args:
        logits: float32 (N, K), N ≥ 1.
        labels: int32 (N,).
    """
    predicted = logits.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(logits.shape[1]), average="macro", zero_division=0
    )
    return {
        "loss": cross_entropy(logits, labels),
        "accuracy": float(np.mean(predicted == labels)),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
        "balanced_accuracy": _balanced_accuracy(labels, predicted),
    }


def _balanced_accuracy(labels: Labels, predicted: npt.NDArray[np.int64]) -> float:
    """The mean recall of the classes that are there."""
    return float(np.mean([np.mean(predicted[labels == label] == label) for label in np.unique(labels)]))


def evaluation(
    split: Literal["validation", "test"], logits: Logits, labels: Labels, classes: Sequence[str]
) -> Evaluation:
    """The summary, the per-class table and the confusion matrix of one split."""
    predicted = logits.argmax(axis=1)
    every = np.arange(len(classes))
    scores = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    per_class: list[dict[str, Any]] = [
        {
            "class": name,
            "precision": float(scores[0][index]),
            "recall": float(scores[1][index]),
            "f1": float(scores[2][index]),
            "support": int(scores[3][index]),
        }
        for index, name in enumerate(classes)
    ]
    return Evaluation(
        split=split,
        metrics=summary(logits, labels),
        per_class=per_class,
        confusion=confusion_matrix(labels, predicted, labels=every).tolist(),
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
