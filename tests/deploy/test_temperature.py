"""A model whose logits are divided by a temperature: other probabilities, the same classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

from harness.analysis.calibration import calibration
from harness.data.reference import read_reference
from harness.deploy.checksums import verify_bundle
from harness.deploy.export import Bundle, export_model
from harness.deploy.loading import load_safely
from harness.deploy.parity import recorded_predictions
from harness.deploy.temperature import TemperatureScaling, fitted_scaling, scaled
from harness.deploy.trained import TrainedModel
from harness.errors import ExportError
from harness.model.network import with_temperature
from harness.paths.study import validation_name
from harness.predictions import StoredPredictions
from harness.study.event_log import read
from harness.study.state import fold
from tests.analysis.drawn_study import STRONG, WEAK, drawn_predictions, write_study

TEMPERATURE = 2.5


def scaling_of(model: TrainedModel) -> TemperatureScaling:
    """As if this temperature had been fitted on what the network predicts for its reference images."""
    assert model.reference is not None
    kept = read_reference(model.reference)
    assert kept is not None
    _, indices, _ = recorded_predictions(model.file)
    network = load_safely(model.file)
    to_logits = keras.Model(network.input, network.layers[-1].input)
    found = keras.ops.convert_to_numpy(to_logits(kept.images.astype(np.float32)))
    logits = np.zeros((indices.max() + 1, found.shape[1]), np.float32)
    logits[indices] = found
    stored = StoredPredictions(logits, np.zeros(len(logits), np.int32))
    return TemperatureScaling(TEMPERATURE, len(logits), 0.2, 0.1, stored)


def probabilities(file: Path, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(load_safely(file)(images.astype(np.float32))), np.float64)


@pytest.mark.slow
def test_every_format_has_it_and_the_bundle_says_so(
    pets_model: TrainedModel, pets_bundle: Bundle, tmp_path: Path
) -> None:
    scaling = scaling_of(pets_model)
    bundle = export_model(pets_model, tmp_path / "out", formats=["saved_model"], temperature=scaling)
    assert len(bundle.parity) == len(pets_bundle.parity)
    assert verify_bundle(bundle.folder) == []
    images = np.random.default_rng(0).integers(0, 256, (50, *pets_model.dataset.image_shape))
    plain = probabilities(pets_bundle.folder / "model.keras", images)
    cooled = probabilities(bundle.folder / "model.keras", images)
    np.testing.assert_array_equal(plain.argmax(axis=1), cooled.argmax(axis=1))
    expected = plain ** (1 / TEMPERATURE)
    np.testing.assert_allclose(cooled, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert np.abs(plain - cooled).max() > 0.01
    (metadata,) = bundle.folder.glob("metadata.*")
    told = yaml.safe_load(metadata.read_text(encoding="utf-8"))["provenance"]["temperature_scaling"]
    assert told["temperature"] == TEMPERATURE
    assert told["calibration_error"] == 0.2
    readme = (bundle.folder / "README.md").read_text(encoding="utf-8")
    assert "logits are divided by 2.500 before the softmax" in readme
    assert "Temperature scaling" not in (pets_bundle.folder / "README.md").read_text(encoding="utf-8")


def test_predictions_that_contradict_each_other_are_refused(pets_model: TrainedModel) -> None:
    found = scaling_of(pets_model)
    found.validation.logits[:] = found.validation.logits[:, ::-1] + np.float32([3, 0])
    with pytest.raises(ExportError, match="contradict each other"), scaled(pets_model, found):
        pass


def test_a_model_without_a_softmax_has_no_temperature() -> None:
    inputs = keras.Input((3,))
    logits = keras.layers.Dense(2)(inputs)
    assert with_temperature(keras.Model(inputs, logits), 2.0) is None
    whole = with_temperature(keras.Model(inputs, keras.layers.Softmax()(logits)), 2.0)
    assert whole is not None
    given = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    half = keras.ops.convert_to_numpy(keras.Model(inputs, logits)(given)) / 2
    expected = np.exp(half) / np.exp(half).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(whole(given)), expected, atol=1e-6)


def test_it_is_the_temperature_that_calibration_shows() -> None:
    stored = drawn_predictions(STRONG, 300, 0)
    paths = write_study(
        [StoredPredictions(4 * stored.logits, stored.labels), drawn_predictions(WEAK, 300, 1)]
    )
    trial = fold(read(paths.log)).trials[0]
    found, shown = (
        fitted_scaling(paths, trial),
        calibration(StoredPredictions(4 * stored.logits, stored.labels)),
    )
    assert found.temperature == shown.temperature
    assert found.temperature > 2
    assert (found.images, found.calibration_error) == (300, shown.error)
    assert found.calibration_error_after == shown.error_after < shown.error


def test_what_cannot_be_fitted_is_told() -> None:
    every = drawn_predictions(60.0, 300, 0)
    paths = write_study([every, None, drawn_predictions(WEAK, 300, 1)])
    trials = fold(read(paths.log)).trials
    with pytest.raises(ExportError, match=r"No temperature from 0\.05 to 20 fits the predictions of trial 0"):
        fitted_scaling(paths, trials[0])
    with pytest.raises(
        ExportError, match=r"no predictions of trial 1 of drawn for the validation split.*none are"
    ):
        fitted_scaling(paths, trials[1])
    (paths.folder / validation_name(2)).write_bytes(b"damaged")
    with pytest.raises(ExportError, match="are missing or damaged"):
        fitted_scaling(paths, trials[2])
