"""A model of one's own as a backbone: cut before its head, refused in a sentence where it cannot serve."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import PretrainedError
from harness.experiment.load import load
from harness.experiment.parameters import complete
from harness.model.backbones import find_backbone
from harness.model.backbones.backbone import PREFIX
from harness.model.network import build, build_body, with_probabilities
from harness.model.preprocessing import PixelStatistics

GREY = PixelStatistics((70.0,), (90.0,))
RGB = PixelStatistics((120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
layers = keras.layers


def images(height: int, width: int, channels: int = 3) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, height, width, channels)).astype(np.float32)


def saved(model: keras.Model, file: Path) -> str:
    """The path of the model's file, its weights none of those that layers begin with."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(np.asarray(weight) + 0.1 * rng.random(weight.shape, np.float32))
    model.save(file)
    return str(file)


def grown_from(path: str, height: int, width: int) -> keras.Model:
    """A network with nothing but the backbone, and its weights."""
    backbone = find_backbone(path)
    inputs = keras.Input((height, width, 3), name="image")
    network = keras.Model(inputs, backbone.build(inputs))
    backbone.load(network)
    return network


def before_the_head(model: keras.Model, head: str) -> keras.Model:
    return keras.Model(model.inputs[0], model.get_layer(head).input)


@pytest.mark.parametrize("family", ["cnn", "resnet", "rnn", "baseline"])
def test_a_trained_model_gives_what_its_head_got(family: str, tmp_path: Path) -> None:
    chosen = {"family": family, "depth": 2, "width": 4, "scaling": "standardise", "denoise": "gaussian"}
    known = {name: value for name, value in chosen.items() if family != "baseline" or name == "family"}
    model = with_probabilities(build(complete(known), (16, 12, 3), 4, RGB))
    path = saved(model, tmp_path / "mine.keras")
    network = grown_from(path, 16, 12)
    pixels = images(16, 12)
    expected = np.asarray(before_the_head(model, "logits")(pixels))
    np.testing.assert_allclose(network(pixels), expected, atol=1e-5)

    backbone = find_backbone(path)
    assert backbone.sizes == (16,)
    assert backbone.fingerprint() == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert all(layer.name.startswith(PREFIX) for layer in network.operations if layer.name != "image")
    trainable = {layer.name for layer in network.layers if layer.weights}
    blocks = backbone.blocks(network)
    assert len(blocks) >= 2
    assert {layer.name for block in blocks for layer in block} == trainable

    network.save(tmp_path / "again.keras")
    loaded = keras.saving.load_model(tmp_path / "again.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(pixels), expected, atol=1e-5)
    fresh = keras.models.clone_model(
        network, clone_function=lambda layer: type(layer).from_config(layer.get_config())
    )
    backbone.load(fresh)
    np.testing.assert_allclose(fresh(pixels), expected, atol=1e-5)


def test_what_was_built_on_a_model_of_ones_own_can_be_built_on_again(tmp_path: Path) -> None:
    first = build(complete({"family": "cnn", "depth": 1, "width": 4}), (16, 16, 3), 4, RGB)
    network = grown_from(saved(first, tmp_path / "first.keras"), 16, 16)
    second = keras.Model(network.inputs[0], layers.Dense(2, name="logits")(network.output))
    third = grown_from(saved(second, tmp_path / "second.keras"), 16, 16)
    pixels = images(16, 16)
    np.testing.assert_allclose(third(pixels), before_the_head(second, "logits")(pixels), atol=1e-5)


def test_images_are_brought_to_what_it_takes(tmp_path: Path) -> None:
    """Colours become grey, and the size the one that it was trained with."""
    model = build(complete({"family": "cnn", "depth": 1, "width": 4}), (8, 10, 1), 3, GREY)
    network = grown_from(saved(model, tmp_path / "grey.keras"), 16, 20)
    pixels = images(16, 20)
    grey = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
    small = layers.Resizing(8, 10)(grey)
    expected = np.asarray(before_the_head(model, "logits")(small))
    np.testing.assert_allclose(network(pixels), expected, atol=1e-3)
    same = np.repeat(grey, 3, axis=3)
    np.testing.assert_allclose(network(same), expected, atol=1e-3)
    for layer in network.layers:
        layer.trainable = False
    blocks = find_backbone(str(tmp_path / "grey.keras")).blocks(network)
    assert [layer.name for block in blocks for layer in block] == [f"{PREFIX}conv1", f"{PREFIX}norm1"]


def test_sequential_models_and_models_inside_models_become_layers(tmp_path: Path) -> None:
    inner = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()])
    start = keras.Input((12, 12, 3))
    twice = layers.Conv2D(3, 1)
    branch = keras.Model(start, layers.Add()([layers.Conv2D(3, 1)(start), twice(twice(start))]))
    model = keras.Sequential(
        [
            keras.Input((14, 14, 3)), layers.Rescaling(1 / 255),
            keras.Sequential([layers.Conv2D(3, 3)]), branch, inner, layers.Flatten(), layers.Dropout(0.5),
            layers.Dense(5, activation="relu"), layers.Dense(2, name="last"), layers.Softmax(),
        ]
    )  # fmt: skip
    network = grown_from(saved(model, tmp_path / "rows.keras"), 14, 14)
    assert not [layer for layer in network.layers if isinstance(layer, keras.Model)]
    pixels = images(14, 14)
    np.testing.assert_allclose(network(pixels), before_the_head(model, "last")(pixels), atol=1e-5)
    assert len(network.weights) == len(model.weights) - 2


def detailed(height: int, width: int) -> str:
    """The path of a model that takes images of one size, and gives their pixels as features."""
    pixels = keras.Input((height, width, 3))
    outputs = layers.Dense(2, name="last")(layers.Flatten()(pixels))
    keras.Model(pixels, outputs).save("detailed.keras")
    return "detailed.keras"


@pytest.mark.parametrize("image_size", [32, 160])
def test_a_model_for_one_size_sees_every_pixel_whatever_the_image_size(image_size: int) -> None:
    path = detailed(48, 40)
    params = complete({"family": "pretrained", "backbone": path, "image_size": image_size})
    pixels = images(48, 40)
    network = build_body(params, (48, 40, 3))
    find_backbone(path).load(network)
    np.testing.assert_array_equal(network(pixels), pixels.reshape(4, -1))
    # What is larger is averaged, no pixel left out, along each side by itself.
    fine = np.repeat(np.repeat(pixels, 3, axis=1), 2, axis=2)
    network = build_body(params, (144, 80, 3))
    np.testing.assert_allclose(network(fine), pixels.reshape(4, -1), atol=1e-3)
    # What is smaller is stretched.
    assert build_body(params, (20, 70, 3)).output_shape == (None, 48 * 40 * 3)


FIXED = "it has no effect with the backbone {}, which takes images of 300×200 pixels and no others."


@pytest.mark.parametrize(
    ("space", "told", "longest"),
    [
        ("backbone: detailed.keras", False, 300),
        ("backbone: detailed.keras, image_size: 500", True, 300),
        ("backbone: detailed.keras, image_size: {type: int, low: 64, high: 160}", True, 300),
        ("backbone: [detailed.keras, resnet50], image_size: [320, 400]", True, 400),
        ("backbone: [detailed.keras, resnet50], image_size: [64]", True, 300),
        (
            "backbone: [detailed.keras, resnet50], "
            "image_size: {type: categorical, choices: [320, 400], when: {backbone: resnet50}}",
            False,
            400,
        ),
        ("backbone: resnet50, image_size: [320, 400]", False, 400),
        ("backbone: broken.keras, image_size: 128", False, 128),
    ],
)
def test_a_size_without_effect_is_told_and_pictures_are_as_large_as_the_model_takes(
    space: str, told: bool, longest: int
) -> None:
    path = Path(detailed(300, 200)).resolve()
    Path("broken.keras").write_bytes(b"no model")
    Path("mine.yaml").write_text(f"name: mine\nspace: {{family: pretrained, {space}}}\n")
    experiment = load("mine.yaml")
    expected = [f"space.image_size: {FIXED.format(path)}"] if told else []
    assert list(experiment.advice) == expected
    assert experiment.dataset.longest_side == longest


def test_a_model_for_any_size(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="last")(x))
    path = saved(model, tmp_path / "any.keras")
    assert find_backbone(path).sizes == (224,)
    network = grown_from(path, 9, 11)
    np.testing.assert_allclose(
        network(images(9, 11)), before_the_head(model, "last")(images(9, 11)), atol=1e-3
    )


def test_a_folder_that_was_exported(tmp_path: Path) -> None:
    model = build(complete({"family": "cnn", "depth": 1, "width": 4}), (8, 8, 3), 3, RGB)
    saved(model, tmp_path / "model.keras")
    assert (
        find_backbone(str(tmp_path)).fingerprint()
        == find_backbone(str(tmp_path / "model.keras")).fingerprint()
    )


@keras.saving.register_keras_serializable("tests")
class Doubled(layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


@keras.saving.register_keras_serializable("tests")
def halved(x: Any) -> Any:
    return x / 2


def model_with(middle: Callable[[Any], Any], channels: int = 3) -> keras.Model:
    inputs = keras.Input((8, 8, channels))
    return keras.Model(inputs, middle(inputs))


def ended(x: Any) -> Any:
    return layers.Dense(2)(layers.Flatten()(x))


def two_ends(x: Any) -> list[Any]:
    return [ended(x), ended(x)]


PAIR = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
UNUSABLE = [
    (model_with(lambda x: ended(layers.Lambda(halved)(x))), "part 'Lambda' is not one of Keras's own"),
    (model_with(lambda x: ended(Doubled()(x))), "part 'Doubled' is not one of Keras's own"),
    (model_with(lambda x: ended(layers.Activation(halved)(x))), "part 'tests>halved' is not one of"),
    (model_with(layers.Flatten()), "layer"),
    (model_with(lambda x: layers.Add()([ended(x), ended(x)])), "has 2 inputs"),
    (model_with(two_ends), "from one image to the outputs of a dense layer"),
    (model_with(ended, channels=4), "images of 4 channels"),
    (keras.Model(PAIR, ended(layers.Add()(PAIR))), "one image"),
    (keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()]), "no dense layer"),
    (keras.Sequential([keras.Input((9,)), layers.Dense(2)]), "one image"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "why"), UNUSABLE)
def test_what_cannot_serve_is_refused_before_keras_is_asked(
    model: keras.Model, why: str, tmp_path: Path
) -> None:
    model.save(tmp_path / "model.keras")
    with pytest.raises(PretrainedError, match=why) as refusal:
        find_backbone(str(tmp_path / "model.keras"))
    assert str(tmp_path / "model.keras") in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(st.text())
@example("/\0")
def test_any_text_is_a_backbone_or_a_sentence(name: str) -> None:
    try:
        assert find_backbone(name).name == name
    except PretrainedError as error:
        assert str(error).endswith((".", "]", "'", "`"))


@pytest.mark.parametrize(
    "name", ["", ".", "~nobody/model.keras", "a\0b.keras", "x" * 5000 + ".keras", "~/none.keras"]
)
def test_odd_paths_are_refused(name: str) -> None:
    with pytest.raises(PretrainedError):
        find_backbone(name)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(PretrainedError, match="cannot be read: No such file"):
        find_backbone(str(path))
    with pytest.raises(PretrainedError, match=r"model\.keras cannot be read: No such file"):
        find_backbone(str(tmp_path))
    for content in (b"", b"text", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(PretrainedError, match="is not a model as Keras saves it"):
            find_backbone(str(path))
    for described in ("{}", "[]", "not json", '{"config": 1}', '{"class_name": "Sequential", "config": {}}'):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", described)
        with pytest.raises(PretrainedError):
            find_backbone(str(path))


def test_a_file_with_damaged_weights_is_told_when_it_is_built(tmp_path: Path) -> None:
    model = build(complete({"family": "cnn", "depth": 1, "width": 4}), (8, 8, 3), 3, RGB)
    path = tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        described = json.loads(archive.read("config.json"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(described))
    backbone = find_backbone(str(path))
    with pytest.raises(PretrainedError, match=f"The model {path} cannot be loaded"):
        backbone.build(keras.Input((8, 8, 3)))
