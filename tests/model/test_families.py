"""Networks of every family: shapes, depth on tiny images, logits out, plain Keras on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.ndimage import median_filter, uniform_filter

from harness.experiment.parameters import complete
from harness.model.families import FAMILIES
from harness.model.network import build, with_probabilities
from harness.model.preprocessing import PixelStatistics, preprocess

GREY = PixelStatistics((70.0,), (90.0,))
RGB = PixelStatistics((120.0, 110.0, 100.0), (60.0, 61.0, 62.0))


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("head", ["flatten", "global"])
def test_any_depth_fits_tiny_images(depth: int, head: str) -> None:
    network = build(
        complete({"family": "cnn", "depth": depth, "width": 4, "head": head}), (8, 8, 1), 10, GREY
    )
    assert network.output_shape == (None, 10)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == depth
    for layer in convolutions:
        assert min(layer.output.shape[1:3]) >= 2


def test_the_baseline_is_the_tutorials_network() -> None:
    """Layer by layer, with the number of weights worked out by hand, and without a softmax."""
    network = build(complete({"family": "baseline"}), (32, 32, 3), 10, RGB)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == [
        "InputLayer", "Rescaling", "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D",
        "Flatten", "Dense", "Dense",
    ]  # fmt: skip
    dense = 6 * 6 * 64 * 64 + 64
    assert network.count_params() == (27 * 32 + 32) + (9 * 32 * 64 + 64) + dense + 650
    assert network.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("family", FAMILIES)
def test_images_smaller_than_a_kernel_still_build(family: str) -> None:
    build(complete({"family": family}), (2, 3, 1), 2, GREY)


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["rescale", "standardise"])
@pytest.mark.parametrize("denoise", ["none", "median", "gaussian"])
def test_preprocessing_is_inside_the_network(scaling: str, denoise: str) -> None:
    """What reaches the first convolution, against SciPy's filters and numpy."""
    params = complete({"family": "cnn", "scaling": scaling, "denoise": denoise})
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3)).astype(np.float32)
    inputs = keras.Input((9, 7, 3))
    found = np.asarray(keras.Model(inputs, preprocess(inputs, params, RGB))(images))
    expected = images
    if denoise == "median":
        expected = np.stack([median_filter(image, size=(3, 3, 1)) for image in images])
    elif denoise == "gaussian":
        for _ in range(2):
            expected = np.stack([uniform_filter(image, size=(3, 3, 1)) for image in expected])
    if scaling == "rescale":
        expected = expected / 255
    else:
        expected = (expected - np.array(RGB.mean)) / np.array(RGB.deviation)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-4)


EVERYTHING = {"scaling": "standardise", "denoise": "median", "convs": 2, "bidirectional": True}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_loads_with_keras_alone(family: str, tmp_path: Path) -> None:
    chosen = {"family": family, **EVERYTHING, "depth": 2, "width": 8}
    network = build(complete(chosen), (16, 16, 3), 4, RGB)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.float32)
    model = with_probabilities(network)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras', safe_mode=True)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'harness']\n"
        "np.save('found.npy', model(np.load('images.npy')))\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, model(images), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_a_resnet_adds_its_blocks_to_what_came_before() -> None:
    params = complete({"family": "resnet", "stages": 3, "depth": 2, "width": 8})
    network = build(params, (32, 32, 3), 10, RGB)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 1 + 3 * 2 * 2 + 2
    assert sum(isinstance(layer, keras.layers.Add) for layer in network.layers) == 6


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_an_rnn_reads_rows(cell: str, bidirectional: bool) -> None:
    params = complete({"family": "rnn", "cell": cell, "bidirectional": bidirectional, "depth": 2, "width": 8})
    network = build(params, (6, 4, 3), 5, RGB)
    assert network.get_layer("rows").output.shape == (None, 6, 12)
    assert network.output_shape == (None, 5)
