"""Averaged networks: the mean of what their members predict, in plain Keras, sharing what is the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from harness.experiment.parameters import complete
from harness.model.ensemble import average
from harness.model.network import build, joined, with_probabilities
from harness.model.preprocessing import PixelStatistics

GREY = PixelStatistics((70.0,), (90.0,))
RGB = PixelStatistics((120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
WEIGHTS = {"trial_0": 0.5, "trial_3": 0.3, "trial_7": 0.2}


def images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, *shape)).astype(np.float32)


def network(shape: tuple[int, int, int], **params: Any) -> keras.Model:
    return with_probabilities(build(complete(params), shape, 4, GREY if shape[2] == 1 else RGB))


def check(networks: dict[str, keras.Model], weights: dict[str, float]) -> keras.Model:
    """The average, which predicts the weighted mean."""
    found = average(networks, weights)
    seen = images(found.input_shape[1:])
    wanted = sum(weights[name] * one(seen).numpy() for name, one in networks.items())
    assert np.abs(found(seen).numpy() - wanted).max() < 1e-6
    return found


@pytest.mark.slow
def test_networks_of_several_families_are_averaged_and_load_with_keras_alone(tmp_path: Path) -> None:
    shape = (16, 12, 3)
    networks = {
        "trial_0": network(shape, family="cnn", depth=2, width=4, denoise="median"),
        "trial_3": network(shape, family="rnn", denoise="gaussian"),
        "trial_7": network(shape, family="resnet", scaling="standardise"),
    }
    found = check(networks, WEIGHTS)
    assert found.count_params() == sum(one.count_params() for one in networks.values())
    assert {type(layer).__module__.split(".")[0] for layer in found.layers} == {"keras"}
    file = tmp_path / "model.keras"
    found.save(file)
    np.save(tmp_path / "images.npy", images(shape))
    script = (
        "import sys, keras, numpy as np\n"
        f"model = keras.saving.load_model({str(file)!r}, safe_mode=True)\n"
        f"found = model(np.load({str(tmp_path / 'images.npy')!r})).numpy()\n"
        f"np.save({str(tmp_path / 'found.npy')!r}, found)\n"
        "assert 'harness' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert np.abs(np.load(tmp_path / "found.npy") - found(images(shape)).numpy()).max() < 1e-6


def frozen_body() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
    for block in range(3):
        x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=f"block{block}")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x))


def on_body(body: keras.Model, width: int) -> keras.Model:
    """A network of its own, with copies of the body's weights and a head."""
    copy = keras.models.clone_model(body)
    copy.set_weights(body.get_weights())
    inputs = keras.Input((4,))
    x = keras.layers.Dense(width, activation="relu", name="head")(inputs)
    head = keras.Model(inputs, keras.layers.Dense(4, name="logits")(x))
    return with_probabilities(joined(copy, head, "pretrained"))


def test_heads_on_one_frozen_network_share_it() -> None:
    body = frozen_body()
    networks = {f"trial_{number}": on_body(body, 3 + number) for number in (0, 3, 7)}
    heads = [one.count_params() - body.count_params() for one in networks.values()]
    found = check(networks, WEIGHTS)
    assert found.count_params() == body.count_params() + sum(heads)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in found.layers) == 3


def test_of_a_network_whose_last_block_was_trained_the_blocks_before_are_shared() -> None:
    body = frozen_body()
    networks = {f"trial_{number}": on_body(body, 3) for number in (0, 3)}
    trained = networks["trial_3"].get_layer("block2")
    trained.set_weights([weight + np.float32(2**-20) for weight in trained.get_weights()])
    found = check(networks, {"trial_0": 0.75, "trial_3": 0.25})
    names = [layer.name for layer in found.layers if isinstance(layer, keras.layers.Conv2D)]
    assert names == ["trial_0_block0", "trial_0_block1", "trial_0_block2", "trial_3_block2"]


def test_what_differs_only_in_a_constant_or_a_setting_is_not_shared() -> None:
    """A constant so large that it is not written out whole where it is shown."""

    def scaled(at: int, slope: float) -> keras.Model:
        inputs = keras.Input((40, 40, 1))
        constant = np.ones((40, 40, 1), np.float32)
        constant[at] = 0
        x = keras.layers.LeakyReLU(slope, name="leak")(keras.ops.subtract(inputs / 255, constant))
        x = keras.layers.Flatten(name="flat")(x)
        dense = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.GlorotUniform(1))
        return keras.Model(inputs, dense(x))

    check({"trial_0": scaled(17, 0.1), "trial_3": scaled(21, 0.1)}, {"trial_0": 0.5, "trial_3": 0.5})
    check({"trial_0": scaled(17, 0.1), "trial_3": scaled(17, 0.3)}, {"trial_0": 0.5, "trial_3": 0.5})
    same = check({"trial_0": scaled(17, 0.1), "trial_3": scaled(17, 0.1)}, {"trial_0": 0.5, "trial_3": 0.5})
    assert sum(isinstance(layer, keras.layers.LeakyReLU) for layer in same.layers) == 1


@pytest.mark.parametrize("sequential", [False, True])
def test_models_within_models_and_layers_that_are_used_twice(sequential: bool) -> None:
    def nested(seed: int) -> keras.Model:
        initial = keras.initializers.GlorotUniform(seed)
        twice = keras.layers.Dense(4, "tanh", kernel_initializer=initial, name="twice")
        if sequential:
            inner: keras.Model = keras.Sequential([keras.Input((4,)), twice, twice])
        else:
            features = keras.Input((4,))
            inner = keras.Model(features, twice(twice(features)))
        inputs = keras.Input((2, 2, 1))
        x = inner(keras.layers.Flatten()(inputs / 255))
        return keras.Model(inputs, keras.layers.Softmax()(twice(x)))

    networks = {"trial_0": nested(0), "trial_3": nested(1), "trial_7": nested(0)}
    found = check(networks, WEIGHTS)
    assert found.count_params() == 2 * networks["trial_0"].count_params()
