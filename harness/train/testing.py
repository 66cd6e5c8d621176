"""A finished model on the test images: the only place where anything is predicted for them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harness.data.arrays import ImagesOnDisk
from harness.data.sealed import open_sealed
from harness.errors import StudyError
from harness.records import dataset_from_dict
from harness.study_files import study_files
from harness.train.metrics import Logits, evaluation

BATCH = 64
"""Images that are predicted at a time."""


def evaluate_on_test(study_folder: str, file: str, sha256: str, dataset: dict[str, Any]) -> str:
    """Evaluate a trial's model on the test images.

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
    network, opened = _load(study_folder, file, sha256), dataset_from_dict(dataset)
    images, labels = open_sealed(opened)
    return json.dumps(asdict(evaluation("test", _logits(network, images), labels, opened.classes)))


def _logits(network: keras.Model, images: ImagesOnDisk) -> Logits:
    """Logarithms of the probabilities, float32 (N, K), which are logits up to a constant of each image."""
    parts = [
        network.predict_on_batch(images[start : start + BATCH].astype(np.float32))
        for start in range(0, len(images), BATCH)
    ]
    probabilities = np.concatenate(parts).astype(np.float32)
    logits: Logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return logits


def _load(study_folder: str, file: str, sha256: str) -> keras.Model:
    """The model, from pixels (0 to 255) to probabilities; no code that its file brings is run."""
    files = study_files(study_folder)
    where = files.shown(file)
    try:
        content = files.read(file)
    except OSError as error:
        raise StudyError(f"The model file {where} cannot be read: {error.strerror or error}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StudyError(f"The model file {where} is damaged: its SHA-256 is not the recorded one.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(file).name
        copy.write_bytes(content)
        try:
            # Safe mode refuses Lambda layers, whose code would be unpickled.
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0]
            raise StudyError(f"The model file {where} cannot be loaded: {reason}") from error
