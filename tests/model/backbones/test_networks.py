"""Every backbone, with random weights: what it is part of trains, is saved and copied, by names that hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from harness.model.backbones import BACKBONES
from harness.model.backbones.backbone import PREFIX, Backbone

FULL = os.environ.get("HARNESS_TESTS") == "full"
ALWAYS = {"efficientnet_lite0", "mobilenet_v3_small", "efficientnetv2_b0"}
"""The others take too long for every change: a minute together."""
SAME_NETWORK = {"mobilenet_v2_96", "mobilenet_v2_128", "mobilenet_v2_160", "mobilenet_v2_192"}
"""As `mobilenet_v2`, with other weights."""
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 64, 3)).astype(np.float32)


def network_with(backbone: Backbone, height: int = 40, width: int = 64) -> keras.Model:
    inputs = keras.Input((height, width, 3), name="image")
    x = backbone.build(inputs)
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="logits")(x))


def of_backbone(network: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in network.layers if layer.name.startswith(PREFIX)]


each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(name not in ALWAYS and not FULL, reason="runs in make test-full"),
            ],
        )
        for name in BACKBONES
        if name not in SAME_NETWORK
    ],
)


@each
def test_it_trains_and_is_saved_whole_and_plain(name: str, tmp_path: Path) -> None:
    backbone = BACKBONES[name]
    network = network_with(backbone)
    assert not [layer for layer in network.layers if isinstance(layer, keras.Model)]
    rest = {layer.name for layer in network.operations if not layer.name.startswith(PREFIX)}
    assert rest <= {"image", "pool", "logits"}
    assert all(type(layer).__module__.startswith("keras.") for layer in network.operations)

    blocks = backbone.blocks(network)
    assert len(blocks) > 5
    with_weights = [layer.name for layer in of_backbone(network) if layer.weights]
    assert sorted(layer.name for block in blocks for layer in block) == sorted(with_weights)
    places = {layer.name: place for place, layer in enumerate(network.layers)}
    firsts = [min(places[layer.name] for layer in block) for block in blocks]
    assert firsts == sorted(firsts)

    before = [np.array(weight) for weight in network.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)  # tracing takes longer than one step
    network.train_on_batch(IMAGES, np.array([0, 1, 2]))
    changed = [bool(np.any(old != new)) for old, new in zip(before, network.trainable_weights, strict=True)]
    assert np.mean(changed) > 0.9  # a bias before a batch norm has no gradient

    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    expected = np.asarray(network(IMAGES, training=False))
    np.testing.assert_allclose(loaded(IMAGES, training=False), expected, atol=1e-6)
    copied = keras.models.clone_model(
        network, clone_function=lambda layer: type(layer).from_config(layer.get_config())
    )
    assert [layer.name for layer in of_backbone(copied)] == [layer.name for layer in of_backbone(network)]


@each
def test_the_names_do_not_depend_on_what_was_built_before_or_on_the_size(name: str) -> None:
    first = [layer.name for layer in of_backbone(network_with(BACKBONES[name]))]
    keras.layers.Activation("relu")
    keras.layers.ReLU()
    second = [layer.name for layer in of_backbone(network_with(BACKBONES[name], 33, 97))]
    assert first == second
    assert len(first) == len(set(first))


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="runs in make test-full")
def test_a_saved_network_loads_with_keras_alone(tmp_path: Path) -> None:
    """The one with the layer that Keras keeps beside its networks."""
    network = network_with(BACKBONES["convnext_tiny"])
    network.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras', safe_mode=True)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'harness']\n"
        "np.save('found.npy', model(np.load('images.npy')))\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), network(IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "published"),
    [("efficientnet_lite0", 4.7e6), ("efficientnet_lite1", 5.4e6), ("efficientnet_lite2", 6.1e6)],
)
def test_they_have_as_many_parameters_as_published(name: str, published: float) -> None:
    """With the dense layer of ImageNet's 1000 classes."""
    inputs = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(BACKBONES[name].build(inputs))
    found = keras.Model(inputs, keras.layers.Dense(1000)(features)).count_params()
    assert found == pytest.approx(published, rel=0.015)


def test_reading_the_registry_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from harness.model.backbones import find_backbone\n"
        "assert find_backbone('resnet50').sizes == (224,)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"tensorflow", "keras", "numpy", "pandas", "pydantic"}


def test_every_backbone_bears_the_name_it_is_registered_by() -> None:
    assert {name: backbone.name for name, backbone in BACKBONES.items()} == {name: name for name in BACKBONES}
