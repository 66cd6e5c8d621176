"""The file of a trained model, and the reference predictions every copy is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from harness.clock import now_ms
from harness.data.arrays import Arrays, Images
from harness.data.reference import reference_rows, reference_split
from harness.model_weights import read_weights, weights_digest
from harness.paths.study import model_name, predictions_name, validation_name
from harness.predictions import StoredPredictions, are_kept, softmax, write_predictions
from harness.records import ModelSaved, Segment
from harness.study_files import StudyFiles
from harness.train.metrics import Logits
from harness.train.program import Program


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """A network at the end of its training, apart from the program that goes on with other trials."""

    network: keras.Model
    """The stock layers with softmax."""
    trained: keras.Model
    """Those of them that are trained; whoever writes the file gives them the weights."""
    weights: list[npt.NDArray[Any]]
    split: str
    """Which split the reference comes from."""
    indices: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    """The model's probabilities for the images at `indices`, float32 (n, K)."""
    validation: StoredPredictions
    """What it predicts for all of the validation split, which may be empty."""


def snapshot(
    program: Program, arrays: Arrays, validation: Logits, predict: Callable[[Images], Logits]
) -> ModelSnapshot:
    """What is to be saved of the program's present state.

    Args:
        program: in the state to be saved.
        arrays: the data set.
        validation: logits of the whole validation split, float32 (N, K); of length 0 without one.
        predict: gives the logits of raw images, uint8 (n, H, W, C).
    """
    split = reference_split(len(validation))
    if split == "train":
        images = arrays.on_disk("train")[0]
        indices = reference_rows(len(images))
        logits = predict(images[indices])
    else:
        indices = reference_rows(len(validation))
        logits = validation[indices]
    return ModelSnapshot(
        network=program.stock_network,
        trained=program.stock_part,
        weights=program.network.get_weights(),
        split=split,
        indices=indices,
        probabilities=softmax(logits),
        validation=StoredPredictions(validation, np.asarray(arrays.on_disk("validation")[1], np.int32)),
    )


def write_reference_predictions(
    file: Path, split: str, indices: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]
) -> None:
    """Write the yardstick of every later copy of a model: see `ModelSnapshot`."""
    with file.open("wb") as stream:
        np.savez(stream, indices=indices, probabilities=probabilities, split=np.str_(split))


def save_model(segment: Segment, files: StudyFiles, epoch: int, trained: ModelSnapshot) -> ModelSaved:
    """Write a trial's model (stock layers, softmax output), and what it predicts beside it.

    Args:
        segment: the last one of the trial.
        files: of the study.
        epoch: the last one that was trained.
        trained: the model.

    Raises:
        OSError: the disk is full, for example.
    """
    model = trained.network
    trained.trained.set_weights(trained.weights)
    for layer in trained.trained.layers:
        if "model" not in segment.params and isinstance(layer, keras.layers.Dropout):
            layer.rate = float(segment.params["dropout"])

    def write_reference(temporary: Path) -> None:
        write_reference_predictions(temporary, trained.split, trained.indices, trained.probabilities)

    digests: list[str] = []

    def write_model(temporary: Path) -> None:
        model.save(temporary)
        digests.append(weights_digest(read_weights(temporary)))

    files.write(predictions_name(segment.trial), write_reference)
    predictions, predictions_sha256 = "", ""
    if are_kept(*trained.validation.logits.shape):
        predictions = validation_name(segment.trial)
        files.write(predictions, partial(write_predictions, predictions=trained.validation))
        predictions_sha256 = files.stamp(predictions).sha256
    files.write(model_name(segment.trial), write_model)
    stamp = files.stamp(model_name(segment.trial))
    return ModelSaved(
        trial=segment.trial,
        attempt=segment.attempt,
        epoch=epoch,
        file=model_name(segment.trial),
        sha256=stamp.sha256,
        size=stamp.size,
        parameters=model.count_params(),
        weights_sha256=digests[-1],
        predictions=predictions,
        predictions_sha256=predictions_sha256,
        reference_sha256=files.stamp(predictions_name(segment.trial)).sha256,
        time=now_ms(),
    )
