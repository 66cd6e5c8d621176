"""Networks of every family: shapes, depth on tiny images, logits out, plain Keras on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter, uniform_filter

from harness.experiment.parameters import complete
from harness.model.families import FAMILIES
from harness.model.families.stem import automatic_stem
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


@pytest.mark.parametrize(
    ("shape", "shrunk"), [((32, 480), (32, 240)), ((900, 60), (225, 60)), ((375, 500), (188, 250))]
)
def test_the_shorter_side_of_elongated_images_is_not_shrunk_to_be_enlarged_again(
    shape: tuple[int, int], shrunk: tuple[int, int]
) -> None:
    network = build(complete({"family": "pretrained", "image_size": 224}), (*shape, 3), 2, RGB)
    assert network.get_layer("shrink").output.shape[1:3] == shrunk
    assert min(network.get_layer("resize").output.shape[1:3]) >= 32


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


WITH_STEM = ["cnn", "resnet"]


def first_maps(network: keras.Model) -> tuple[int, int]:
    """Height and width of what the first layer behind the stem is given."""
    behind = network.get_layer("stem" if network.name == "resnet" else "conv1")
    return tuple(behind.input.shape[1:3])  # type: ignore[return-value]


@pytest.mark.parametrize("family", WITH_STEM)
@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (48, 48, 3), (20, 100, 1)])
def test_networks_for_small_images_have_no_stem(family: str, shape: tuple[int, int, int]) -> None:
    """Layer by layer what they were before there were stems, and what `none` asks for."""
    found = build(complete({"family": family}), shape, 4, GREY if shape[2] == 1 else RGB)
    assert first_maps(found) == shape[:2]
    assert not [layer.name for layer in found.layers if layer.name.startswith("stem_")]
    params = complete({"family": family, "stem": "none"})
    assert found.get_config() == build(params, shape, 4, GREY if shape[2] == 1 else RGB).get_config()


@pytest.mark.parametrize("family", WITH_STEM)
@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((49, 49, 3), (25, 25)),
        ((72, 96, 3), (36, 48)),
        ((96, 96, 3), (48, 48)),
        ((112, 112, 3), (56, 56)),
        ((113, 113, 3), (29, 29)),
        ((168, 224, 3), (42, 56)),
        ((224, 224, 3), (56, 56)),
    ],
)
def test_large_images_are_made_small_first(
    family: str, shape: tuple[int, int, int], maps: tuple[int, int]
) -> None:
    assert first_maps(build(complete({"family": family}), shape, 4, RGB)) == maps


@pytest.mark.parametrize("family", WITH_STEM)
@pytest.mark.parametrize(("stem", "side"), [("none", 64), ("stride2", 32), ("stride4", 16)])
def test_a_stem_that_is_asked_for_is_there_at_any_size(family: str, stem: str, side: int) -> None:
    network = build(complete({"family": family, "stem": stem}), (64, 64, 3), 4, RGB)
    assert first_maps(network) == (side, side)
    halvings = {"none": 0, "stride2": 1, "stride4": 2}[stem]
    kinds = [type(layer).__name__ for layer in network.layers if layer.name.startswith("stem_")]
    assert kinds == ["Conv2D", "BatchNormalization", "ReLU"] * halvings


def test_a_stem_has_batch_norm_where_its_family_has() -> None:
    network = build(complete({"stem": "stride4", "batch_norm": False}), (64, 64, 3), 4, RGB)
    assert not [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]
    assert network.get_layer("stem_conv2").use_bias


@given(
    height=st.integers(2, 80),
    width=st.integers(2, 80),
    stem=st.sampled_from(["auto", "none", "stride2", "stride4"]),
    family=st.sampled_from(WITH_STEM),
)
@settings(max_examples=25)
def test_any_stem_fits_any_image(height: int, width: int, stem: str, family: str) -> None:
    params = complete({"family": family, "stem": stem, "depth": 1, "width": 4, "stages": 2})
    network = build(params, (height, width, 1), 2, GREY)
    maps = first_maps(network)
    assert min(maps) >= min(height, width, 2)
    assert maps[0] <= height
    assert maps[1] <= width


@given(height=st.integers(2, 1024), width=st.integers(2, 1024))
def test_the_automatic_stem_leaves_as_many_pixels_as_layers_can_afford(height: int, width: int) -> None:
    """In area: at most those of 56×56, up to images of 224×224; and never fewer than of 25×25 by halving."""
    halvings = {"none": 0, "stride2": 1, "stride4": 2}[automatic_stem(height, width)]
    left = height * width / 4**halvings
    assert left <= max(56**2, height * width / 16)
    assert halvings == 0 or left > 24**2
    if max(height, width) <= 48:
        assert halvings == 0
