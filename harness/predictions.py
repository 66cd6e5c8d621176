"""What a trial's model predicted for every validation image: a file that is kept beside the model.

So trials can be compared image by image when the prepared data is gone: whether the validation set tells them
apart, how much of the best score is chance, how well probabilities are calibrated, which models go together.

With folds there is a file for each fold, of the images that it was not trained on.

It is an `.npz` file with the logits of the last epoch as the metrics saw them, so that every metric comes out
to the last bit as it was reported: 4 bytes for each image and class, 4 MB for 10,000 images of 100 classes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.paths import sha256_of

MOST_BYTES = 32 * 2**20
"""Logits of one trial beyond which they are not kept."""
BYTES = 4
"""Of one logit."""


@dataclass(frozen=True, slots=True)
class StoredPredictions:
    """The predictions of one model for the validation split, or of a fold's for its validation images."""

    logits: npt.NDArray[np.float32]
    """(N, K)."""
    labels: npt.NDArray[np.int32]
    """The true classes, (N,)."""
    images: npt.NDArray[np.int32] | None = None
    """Of a fold: which of the images that are dealt out to folds they are, positions (N,). None: they are the
    validation split, in its order."""


def softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Probabilities, float32 (N, K), of logits (N, K)."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)


def logarithms(probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Logits (N, K), up to a constant of each image, of probabilities (N, K)."""
    found: npt.NDArray[np.float32] = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return found.astype(np.float32)


def are_kept(images: int, classes: int) -> bool:
    """Whether the predictions for so many validation images are kept."""
    return 0 < images * classes * BYTES <= MOST_BYTES


def write_predictions(file: Path, predictions: StoredPredictions) -> None:
    """Write a file; the same predictions give the same bytes.

    Raises:
        OSError: it cannot be written.
    """
    logits, labels, images = predictions.logits, predictions.labels, predictions.images
    with file.open("wb") as stream:
        if images is None:
            np.savez(stream, logits=logits, labels=labels)
        else:
            np.savez(stream, logits=logits, labels=labels, images=images)


def read_predictions(file: Path, sha256: str) -> StoredPredictions | None:
    """Read a file; None if it is missing, or is not the one with this SHA-256."""
    try:
        if sha256_of(file) != sha256:
            return None
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            return StoredPredictions(stored["logits"], stored["labels"], stored.get("images"))
    except (OSError, ValueError, KeyError):
        return None
