"""Cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.metric import Metric, Predictions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.metric import Floats


def cross_entropies(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> Floats:
    """−log softmax(logits)[label] of each image, in nats, float64 (N,).

    Args:
        logits: float32 (N, K).
        labels: int32 (N,).
    """
    import numpy as np

    wide = logits.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    log_sum: Floats = np.log(np.exp(wide - top).sum(axis=1)) + top[:, 0]
    return log_sum - wide[np.arange(len(labels)), labels]


def cross_entropy(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> float:
    """The mean of −log softmax(logits)[label], in nats.

    Args:
        logits: float32 (N, K), N ≥ 1.
        labels: int32 (N,).
    """
    return float(cross_entropies(logits, labels).mean())


def losses(found: Predictions) -> Floats:
    """The cross-entropy of each image."""
    return cross_entropies(found.logits, found.labels)


def loss(found: Predictions) -> float:
    """The cross-entropy of the logits."""
    return cross_entropy(found.logits, found.labels)


LOSS = Metric(
    "The mean of −log of the probability that the true class was given.",
    maximize=False,
    of=loss,
    by_image=losses,
)
