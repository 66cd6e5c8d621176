"""Whether a model is right as often as its probabilities say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.analysis.bootstrap import Floats
from harness.predictions import StoredPredictions

BINS = 15
"""Of equal width, as Guo et al. (2017) count the calibration error."""
COLDEST, HOTTEST = 0.05, 20.0
"""Between which a temperature is looked for."""
STEPS = 60
"""Each makes the range of the temperature smaller by a third; the last one is far beneath rounding."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The images whose largest probability lies between two bounds."""

    low: float
    high: float
    images: int
    confidence: float | None
    """The mean of their largest probabilities; None without images."""
    accuracy: float | None
    """The share of them that get their class; None without images."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well probabilities are calibrated."""

    error: float
    """The expected calibration error: how far confidence and accuracy of a bin lie apart, on average over the
    images."""
    bins: tuple[Bin, ...]
    temperature: float | None
    """What logits have to be divided by for the least cross-entropy: above 1, the model is too sure. None: no
    temperature is the best, as where every image is right."""
    error_after: float | None
    """The calibration error with it, on the images that it was fitted on."""


def calibration(predictions: StoredPredictions) -> Calibration:
    """Judge the probabilities of a model."""
    logits, labels = predictions.logits.astype(np.float64), predictions.labels
    temperature = fitted_temperature(logits, labels)
    bins = reliability(*_confidence(logits, labels))
    if temperature is None:
        return Calibration(expected_error(bins), bins, None, None)
    after = reliability(*_confidence(logits / temperature, labels))
    return Calibration(expected_error(bins), bins, temperature, expected_error(after))


def reliability(confidence: Floats, right: npt.NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Images in bins of their largest probability; a bin has its upper bound, not its lower one.

    Args:
        confidence: the largest probability of each image, (n,).
        right: whether the image gets its class, (n,).
    """
    bounds = np.linspace(0, 1, BINS + 1)
    which = np.clip(np.searchsorted(bounds, confidence, "left") - 1, 0, BINS - 1)
    found = []
    for index in range(BINS):
        mine = which == index
        images = int(mine.sum())
        means = (float(confidence[mine].mean()), float(right[mine].mean())) if images else (None, None)
        found.append(Bin(float(bounds[index]), float(bounds[index + 1]), images, *means))
    return tuple(found)


def expected_error(bins: tuple[Bin, ...]) -> float:
    """The mean distance of confidence and accuracy, each bin counting by its images."""
    total = sum(one.images for one in bins)
    distances = (
        one.images * abs(one.confidence - one.accuracy)
        for one in bins
        if one.confidence is not None and one.accuracy is not None
    )
    return sum(distances) / total


def fitted_temperature(logits: Floats, labels: npt.NDArray[np.int32]) -> float | None:
    """The temperature with the least cross-entropy of logits/T, by golden-section search over log T.

    Args:
        logits: (n, K).
        labels: (n,).

    Returns:
        Between 0.05 and 20; the cross-entropy has one minimum in 1/T, so that the search cannot go astray.
        None where it has none there, as where every image is right, and any smaller T is better.
    """

    def cross_entropy(log_temperature: float) -> float:
        cooled = logits / np.exp(log_temperature)
        top = cooled.max(axis=1)
        sums = np.log(np.exp(cooled - top[:, None]).sum(axis=1)) + top
        return float((sums - cooled[np.arange(len(labels)), labels]).mean())

    if (logits.argmax(axis=1) == labels).all():
        return None  # the cross-entropy falls to 0, and is exactly that long before the coldest temperature
    share = (np.sqrt(5) - 1) / 2
    low, high = np.log(COLDEST), np.log(HOTTEST)
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = cross_entropy(left), cross_entropy(right)
    for _ in range(STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = cross_entropy(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = cross_entropy(right)
    found = float(np.exp((low + high) / 2))
    return found if 1.001 * COLDEST < found < HOTTEST / 1.001 else None


def _confidence(logits: Floats, labels: npt.NDArray[np.int32]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    top = logits.max(axis=1)
    confidence: Floats = 1 / np.exp(logits - top[:, None]).sum(axis=1)
    return confidence, logits.argmax(axis=1) == labels
