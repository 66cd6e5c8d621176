"""Grad-CAM looks where the class is; networks without a convolution are refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from harness.cli import main
from harness.data.decode import MAX_PIXELS
from harness.errors import DataError, ServingError
from harness.paths import sha256_of
from harness.serving.bundle import open_bundle
from harness.serving.explain import GAP, SIDE, explain, picture_of
from harness.serving.layers import feature_map
from harness.serving.predictor import Predictor, predictor, predictor_of
from harness.serving.source import ModelSource
from tests.serving.conftest import COLOURS, paint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(colours: Path) -> Predictor:
    return predictor(open_bundle(colours))


def half_and_half(left: str, right: str, size: tuple[int, int] = (160, 120)) -> bytes:
    pixels = np.full((size[1], size[0], 3), COLOURS[left], np.uint8)
    pixels[:, size[0] // 2 :] = COLOURS[right]
    Image.fromarray(pixels).save("halves.png")
    return Path("halves.png").read_bytes()


@pytest.mark.parametrize(("name", "left_is_hot"), [("red", True), ("blue", False)])
def test_the_heat_is_where_the_class_is(model: Predictor, name: str, left_is_hot: bool) -> None:
    found = explain(model, half_and_half("red", "blue"), name)
    assert found.guess.name == name
    assert found.heat.shape == (12, 16)
    assert (found.heat.min() >= 0, found.heat.max()) == (True, 1)
    left, right = found.heat[:, :7].mean(), found.heat[:, 9:].mean()
    assert (left > 3 * right) if left_is_hot else (right > 3 * left)


def test_the_most_probable_class_is_explained_unless_another_is_named(model: Predictor) -> None:
    content = paint(Path("a.png"), "green").read_bytes()
    found = explain(model, content)
    assert found.guess == found.top[0]
    assert found.guess.name == "green"
    with pytest.raises(ServingError, match="knows no class 'gren'; did you mean green"):
        explain(model, content, "gren")
    with pytest.raises(DataError, match="it is empty"):
        explain(model, b"")


def test_the_picture_has_the_image_in_its_proportions_beside_it(model: Predictor) -> None:
    content = half_and_half("red", "blue", size=(300, 100))
    picture = picture_of(model, content, explain(model, content, "red").heat)
    assert picture.shape == (171, 2 * SIDE + GAP, 3)
    np.testing.assert_array_equal(picture[80, 10], COLOURS["red"])
    np.testing.assert_array_equal(picture[80, SIDE - 10], COLOURS["blue"])
    assert np.abs(picture[80, -10].astype(int) - COLOURS["blue"]).max() < 60  # cold
    assert np.abs(picture[80, SIDE + GAP + 10].astype(int) - COLOURS["red"]).max() <= 60


def test_a_convolution_ends_with_its_activation_and_before_pooling() -> None:
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(4, 3, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(name="last")(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    network = keras.Model(image, keras.layers.Dense(2)(x))
    name, tensor = feature_map(network)
    assert name == "last"
    assert tensor.shape == (None, 8, 8, 4)


def test_a_frozen_network_is_explained_too(tmp_path: Path, colours: Path) -> None:
    network = keras.saving.load_model(colours / "model.keras")
    network.trainable = False
    network.save(tmp_path / "frozen.keras")
    file = tmp_path / "frozen.keras"
    source = ModelSource(
        "frozen", file, sha256_of(file), ("blue", "green", "red"), (12, 16, 3), None, MAX_PIXELS
    )
    assert explain(predictor_of(source), half_and_half("red", "blue"), "red").heat.max() == 1


def test_a_network_without_a_convolution_is_refused(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.GRU(3)(keras.layers.Reshape((8, 8))(image))
    file = tmp_path / "rnn.keras"
    keras.Model(image, keras.layers.Dense(2, activation="softmax")(x), name="rnn").save(file)
    source = ModelSource("rnn", file, sha256_of(file), ("a", "b"), (8, 8, 1), None, MAX_PIXELS)
    with pytest.raises(ServingError, match="The network rnn has no convolution"):
        explain(predictor_of(source), paint(Path("a.png"), "red").read_bytes())


def test_the_command(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(Path("a.jpg"), "red", size=(64, 48))

    def typed(*arguments: object) -> tuple[int, str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["harness", "explain", str(colours), *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0), *capsys.readouterr()

    code, out, err = typed("a.jpg")
    assert (code, out) == (0, "a-explained.png\n")
    assert "a.jpg: red 0." in err
    with Image.open("a-explained.png") as picture:
        assert picture.size == (2 * SIDE + GAP, 384)
    code, out, _ = typed("a.jpg", "--class", "blue", "--out", "b.png", "--json")
    assert json.loads(out)["class"] == "blue"
    assert json.loads(out)["layer"] == "colours"
    Path("text.jpg").write_text("text")
    for arguments, said in (
        (("gone.jpg",), "gone.jpg cannot be read: No such file"),
        (("text.jpg",), "text.jpg: The image cannot be read"),
        (("a.jpg", "--out", "nowhere/b.png"), "nowhere does not exist"),
        (("a.jpg", "--out", "b.jpg"), "end in .png"),
    ):
        code, out, err = typed(*arguments)
        assert code != 0
        assert said in err
        assert out == ""
