"""Temperature scaling: a model that is as sure of itself as it was right about the validation images.

Logits are divided by one number, which was fitted on these images. So the classes keep their order, and the
most probable one never changes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.calibration import COLDEST, HOTTEST, calibration
from harness.deploy.loading import load_safely
from harness.deploy.parity import Probabilities, recorded_predictions
from harness.deploy.tolerance import NEAR
from harness.deploy.trained import TrainedModel, check_file
from harness.errors import ExportError
from harness.paths import StudyPaths, sha256_of
from harness.paths.study import MODEL, PREDICTIONS
from harness.predictions import StoredPredictions, read_predictions, softmax
from harness.records import Evaluation
from harness.study.trial import Trial

CHANGED = ("loss", "auroc_macro")
"""Metrics that look at probabilities themselves."""
PROVENANCE = "temperature_scaling"
"""What a bundle's metadata calls it."""


@dataclass(frozen=True, slots=True)
class TemperatureScaling:
    """A temperature, and what it does on the validation images that it was fitted on."""

    temperature: float
    """What logits are divided by: above 1, the model was too sure of itself."""
    images: int
    """Validation images."""
    calibration_error: float
    """The expected calibration error without it (15 bins)."""
    calibration_error_after: float
    validation: StoredPredictions = field(repr=False)
    """What the model predicts for these images without it."""

    def described(self) -> dict[str, Any]:
        """JSON-serialisable, for the bundle's metadata."""
        return {
            "temperature": self.temperature,
            "fitted_on": {"split": "validation", "images": self.images},
            "calibration_error": self.calibration_error,
            "calibration_error_after": self.calibration_error_after,
        }


def fitted_scaling(paths: StudyPaths, trial: Trial) -> TemperatureScaling:
    """The temperature that fits what a trial's model predicted for the validation images best.

    Args:
        paths: of the study.
        trial: one of its trials.

    Raises:
        ExportError: nothing was predicted for validation images, or it is lost, or no temperature fits best.
    """
    who = f"trial {trial.number} of {paths.folder.name}"
    without = "Export it without temperature scaling."
    if trial.model is None or not trial.model.predictions:
        why = "it was trained on all folds" if trial.folds.parts else "none are stored"
        raise ExportError(
            f"There are no predictions of {who} for the validation split, which a temperature could be "
            f"fitted to: {why}. {without}"
        )
    stored = read_predictions(paths.folder / trial.model.predictions, trial.model.predictions_sha256)
    if stored is None:
        raise ExportError(
            f"The predictions of {who} for the validation split, which a temperature would be fitted to, are "
            f"missing or damaged: {paths.folder / trial.model.predictions}. {without}"
        )
    found = calibration(stored)
    if found.temperature is None or found.error_after is None:
        raise ExportError(
            f"No temperature from {COLDEST:g} to {HOTTEST:g} fits the predictions of {who} best, as where "
            f"the whole validation split is right, or hardly any of it. {without}"
        )
    return TemperatureScaling(found.temperature, len(stored.labels), found.error, found.error_after, stored)


@contextmanager
def scaled(source: TrainedModel, scaling: TemperatureScaling) -> Iterator[TrainedModel]:
    """The same model with its logits divided by the temperature, as long as the context lasts.

    What it must predict for the reference images is calculated from what was recorded in training, not from
    this model.

    Raises:
        ExportError: the model's file or what was recorded beside it is missing or damaged, or the model does
            not end with a softmax.
    """
    check_file(source)
    split, indices, recorded = recorded_predictions(source.file)
    logits = scaling.validation.logits
    if split != "validation" or len(logits) <= indices.max() or _differ(softmax(logits[indices]), recorded):
        raise ExportError(
            f"The predictions that were stored beside {source.file} contradict each other, so that no "
            "temperature can be relied on. Export the model without temperature scaling."
        )
    plain = load_safely(source.file)
    from harness.model.network import with_temperature  # which takes Keras, that was imported quietly now

    network = with_temperature(plain, scaling.temperature)
    if network is None:
        raise ExportError(
            f"The model {source.file} does not end with a softmax of logits, which a temperature could "
            "divide. Export it without temperature scaling."
        )
    with tempfile.TemporaryDirectory(prefix="harness-export-") as folder:
        file = Path(folder) / MODEL
        network.save(file)
        np.savez(
            file.with_name(PREDICTIONS),
            indices=indices,
            probabilities=softmax(logits[indices].astype(np.float64) / scaling.temperature),
            split=np.str_(split),
        )
        provenance = source.provenance | {PROVENANCE: scaling.described()}
        kept = tuple(_unchanged(one) for one in source.evaluations)
        yield replace(source, file=file, sha256=sha256_of(file), provenance=provenance, evaluations=kept)


def _unchanged(evaluation: Evaluation) -> Evaluation:
    """An evaluation without the metrics that a temperature changes."""
    kept = {name: value for name, value in evaluation.metrics.items() if name not in CHANGED}
    return replace(evaluation, metrics=kept)


def about_scaling(provenance: dict[str, Any], noun: str) -> str:
    """What a bundle's README says of it, in Markdown; empty if its model has none."""
    found = provenance.get(PROVENANCE)
    if found is None:
        return ""
    return (
        f"\nTemperature scaling: logits are divided by {found['temperature']:.3f} before the softmax, which "
        f"was fitted on {found['fitted_on']['images']:,} validation {noun}s. The expected calibration error "
        f"there was {found['calibration_error']:.3f} without it and is "
        f"{found['calibration_error_after']:.3f} with it. The most probable class is the same as without.\n"
    )


def _differ(one: Probabilities, other: Probabilities) -> bool:
    return one.shape != other.shape or not float(np.abs(one - other).max()) <= NEAR
