"""The models of several trials averaged in one file: a worker's answer."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from harness.errors import StudyError
from harness.model.ensemble import average
from harness.model_weights import read_weights, weights_digest
from harness.paths.study import MODEL, PREDICTIONS, VALIDATION, ensemble_folder
from harness.predictions import StoredPredictions, logarithms, read_predictions, softmax, write_predictions
from harness.study_files import StudyFiles, study_files
from harness.train.metrics import evaluation
from harness.train.model_file import write_reference_predictions
from harness.train.saved import load_saved

TRIED = 8
"""Drawn images on which the average is compared with its members before it is written."""
TOLERANCE = 1e-5
"""How far a probability may be from the mean of the members'."""


def write_ensemble(study_folder: str, number: int, members: list[dict[str, Any]], classes: list[str]) -> str:
    """Average the models of trials, and write the model and what it predicts.

    Args:
        study_folder: of the study, as in `harness.records.Segment`.
        number: of the ensemble.
        members: at least two, each with `trial`, `weight` (they add up to 1), and of the trial's
            `harness.records.ModelSaved` `file`, `sha256`, `predictions` and `predictions_sha256`.
        classes: names in the order of the outputs.

    Returns:
        What `harness.records.EnsembleSaved` says of the files and of the validation images, in JSON.

    Raises:
        StudyError: a file of a member is gone, was changed or cannot be loaded; or the average does not
            predict the mean of what its members do.
        OSError: the files cannot be written.
    """
    files, folder = study_files(study_folder), ensemble_folder(number)
    weights = {f"trial_{one['trial']}": float(one["weight"]) for one in members}
    networks = {f"trial_{one['trial']}": load_saved(files, one["file"], one["sha256"]) for one in members}
    network = average(networks, weights)
    _check(network, networks, weights)
    validation = _validation(study_folder, members)
    digests: list[str] = []

    def write_model(temporary: Path) -> None:
        network.save(temporary)
        digests.append(weights_digest(read_weights(temporary)))

    files.write(f"{folder}/{PREDICTIONS}", partial(_write_reference, files=files, members=members))
    files.write(f"{folder}/{VALIDATION}", partial(write_predictions, predictions=validation))
    files.write(f"{folder}/{MODEL}", write_model)
    stamp = files.stamp(f"{folder}/{MODEL}")
    return json.dumps(
        {
            "file": f"{folder}/{MODEL}",
            "sha256": stamp.sha256,
            "size": stamp.size,
            "parameters": network.count_params(),
            "weights_sha256": digests[-1],
            "predictions": f"{folder}/{VALIDATION}",
            "predictions_sha256": files.stamp(f"{folder}/{VALIDATION}").sha256,
            "evaluation": asdict(evaluation("validation", validation.logits, validation.labels, classes)),
        }
    )


def _check(network: keras.Model, networks: dict[str, keras.Model], weights: dict[str, float]) -> None:
    """Raises StudyError unless the network predicts the mean of what the networks do, for drawn images."""
    images = np.random.default_rng(0).integers(0, 256, (TRIED, *network.input_shape[1:])).astype(np.float32)
    found = network.predict_on_batch(images)
    wanted = sum(weights[name] * one.predict_on_batch(images) for name, one in networks.items())
    difference = float(np.abs(found - wanted).max())
    if not difference <= TOLERANCE:
        raise StudyError(
            f"The averaged model does not predict the mean of what its members predict: probabilities differ "
            f"by up to {difference:.2g} (allowed {TOLERANCE:g}). Nothing was written."
        )


def _validation(study_folder: str, members: list[dict[str, Any]]) -> StoredPredictions:
    """The mean of what the members have predicted for the validation images."""
    means: npt.NDArray[np.float64] | None = None
    labels: npt.NDArray[np.int32] | None = None
    for one in members:
        stored = read_predictions(Path(study_folder) / one["predictions"], one["predictions_sha256"])
        if stored is None:
            raise StudyError(f"The predictions {one['predictions']} are gone, or damaged.")
        share = float(one["weight"]) * softmax(stored.logits).astype(np.float64)
        means, labels = share if means is None else means + share, stored.labels
    assert means is not None
    assert labels is not None
    return StoredPredictions(logarithms(means), labels)


def _write_reference(target: Path, files: StudyFiles, members: list[dict[str, Any]]) -> None:
    """Write the mean of what the members predicted for the images that copies are compared with."""
    stored = []
    for one in members:
        name = str(Path(one["file"]).with_name(PREDICTIONS))
        try:
            with np.load(io.BytesIO(files.read(name)), allow_pickle=False) as found:
                stored.append((str(found["split"]), found["indices"], found["probabilities"]))
        except (OSError, ValueError, KeyError) as error:
            raise StudyError(
                f"The reference predictions {files.shown(name)} cannot be read ({error}), so that the "
                "averaged model could not be verified."
            ) from error
    split, indices, _ = stored[0]
    if any(other != split or not np.array_equal(rows, indices) for other, rows, _ in stored):
        raise StudyError("The members were not compared on the same images, so that they have no mean.")
    means = sum(float(one["weight"]) * found[2] for one, found in zip(members, stored, strict=True))
    write_reference_predictions(target, split, indices, np.asarray(means, np.float32))
