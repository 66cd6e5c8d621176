"""Count once how a split was classified, for all metrics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.metrics.metric import Predictions


def predictions_of(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> Predictions:
    """What is known of a split from its logits.

    Everything is counted from one confusion matrix, since this happens after every epoch, where
    scikit-learn's checks of its input would take longer than a small network's training step.

    Args:
        logits: float32 (N, K), N ≥ 1.
        labels: int32 (N,).
    """
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    confusion = cells.reshape(classes, classes)
    hits, support, guesses = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = hits / np.maximum(guesses, 1), hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + guesses, 1)
    return Predictions(logits, labels, predicted, confusion, precision, recall, f1, support > 0)
