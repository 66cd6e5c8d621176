"""A finished model on the test images: the only place where anything is predicted for them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from harness.data.arrays import ImagesOnDisk
from harness.data.sealed import open_sealed
from harness.predictions import logarithms
from harness.records import dataset_from_dict
from harness.study_files import study_files
from harness.train.metrics import Logits, evaluation
from harness.train.saved import load_saved

BATCH = 64
"""Images that are predicted at a time."""


def evaluate_on_test(study_folder: str, file: str, sha256: str, dataset: dict[str, Any]) -> str:
    """Evaluate a model of a study, a trial's or an ensemble's, on the test images.

    It is a worker's answer to a question that `harness.confirmation.opening` alone puts, after it has written
    down that it will.

    Args:
        study_folder: of the study, as in `harness.records.Segment`.
        file: the model's name within the study.
        sha256: of that file as it was written, in hex.
        dataset: a `harness.records.Dataset` as builtins; it has at least one test image.

    Returns:
        A `harness.records.Evaluation` in JSON.

    Raises:
        DataError: the prepared data is gone.
        StudyError: the model is gone, was changed, or cannot be loaded.
    """
    network, opened = load_saved(study_files(study_folder), file, sha256), dataset_from_dict(dataset)
    images, labels = open_sealed(opened)
    return json.dumps(asdict(evaluation("test", _logits(network, images), labels, opened.classes)))


def _logits(network: keras.Model, images: ImagesOnDisk) -> Logits:
    """Logarithms of the probabilities, float32 (N, K), which are logits up to a constant of each image."""
    parts = [
        network.predict_on_batch(images[start : start + BATCH].astype(np.float32))
        for start in range(0, len(images), BATCH)
    ]
    probabilities = np.concatenate(parts).astype(np.float32)
    return logarithms(probabilities)
