"""A loaded model sees of files what training saw, and says what the network says."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from harness.data.decode import decode
from harness.errors import DataError, ServingError
from harness.paths import sha256_of
from harness.serving.bundle import open_bundle
from harness.serving.predictor import Predictor, predictor, predictor_of
from harness.serving.source import ModelSource
from tests.serving.conftest import paint, save_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded(colours: Path) -> Predictor:
    return predictor(open_bundle(colours))


def test_it_classifies_files(loaded: Predictor) -> None:
    names = ["green", "blue", "red"]
    files = [paint(Path(f"{name}.jpg"), name, size=(70, 20)) for name in names]
    images = np.stack([loaded.prepare(file.read_bytes()) for file in files])
    assert images.shape == (3, 12, 16, 3)
    found = loaded.predict(images)
    assert (found.shape, found.dtype) == ((3, 3), np.float32)
    assert [loaded.classes[one] for one in found.argmax(axis=1)] == names
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_it_says_what_keras_says_for_any_number_of_images(loaded: Predictor, colours: Path) -> None:
    network = keras.saving.load_model(colours / "model.keras")
    for count in (0, 1, 5, 70):
        images = np.random.default_rng(count).integers(0, 256, (count, 12, 16, 3)).astype(np.uint8)
        found = loaded.predict(images)
        assert found.shape == (count, 3)
        if count:
            np.testing.assert_allclose(found, network(images.astype(np.float32)).numpy(), atol=1e-6)


def test_pixels_are_those_of_training(loaded: Predictor) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = paint(Path("turned.jpg"), "red", size=(90, 31), exif=exif).read_bytes()
    np.testing.assert_array_equal(loaded.prepare(content), decode(content, (12, 16), 3).pixels)


def test_the_range_of_deep_files_is_that_of_training(loaded: Predictor) -> None:
    stream = BytesIO()
    Image.fromarray(np.full((12, 16), 2047, np.uint16)).save(stream, "PNG")
    assert loaded.prepare(stream.getvalue()).max() == 7  # the upper byte
    other = Predictor(replace(loaded.source, pixel_range=(0.0, 4095.0)), loaded.network, loaded.run)
    assert other.prepare(stream.getvalue()).max() in (127, 128)


def test_what_is_no_image_is_refused_in_a_sentence(loaded: Predictor) -> None:
    half = paint(Path("half.png"), "red").read_bytes()[:300]
    stream = BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(stream, "TIFF")
    for content, said in (
        (b"", "it is empty"),
        (b"<html>", "failed downloads"),
        (half, "it is damaged"),
        (stream.getvalue(), "floating-point"),
    ):
        with pytest.raises(DataError, match=f"The image cannot be read: .*{said}.*\\.$"):
            loaded.prepare(content)
    small = Predictor(replace(loaded.source, max_pixels=20), loaded.network, loaded.run)
    with pytest.raises(DataError, match="at most 20"):
        small.prepare(paint(Path("large.png"), "red").read_bytes())


def test_pixels_of_another_shape_or_type_are_refused(loaded: Predictor) -> None:
    for images in (
        np.zeros((12, 16, 3), np.uint8),
        np.zeros((1, 16, 12, 3), np.uint8),
        np.zeros((1, 12, 16, 3)),
    ):
        with pytest.raises(ServingError, match=r"takes pixels uint8 of the shape \(N, 12, 16, 3\)"):
            loaded.predict(images)


def test_another_network_than_was_said_is_refused(colours: Path) -> None:
    source = open_bundle(colours).source
    with pytest.raises(ServingError, match="was changed"):
        predictor_of(replace(source, sha256="0" * 64))
    with pytest.raises(ServingError, match="as is said beside it"):
        predictor_of(replace(source, image_shape=(8, 8, 3)))
    with pytest.raises(ServingError, match="as is said beside it"):
        predictor_of(replace(source, classes=("one", "two")))


def test_no_code_of_a_model_file_is_run(tmp_path: Path) -> None:
    """A Lambda layer brings code, which Keras would run; whatever a file says, it is not."""
    image = keras.Input((12, 16, 3))
    x = keras.layers.Lambda(lambda pixels: pixels[:, 0, 0, :], output_shape=(3,))(image)
    keras.Model(image, x).save(tmp_path / "lambda.keras")
    save_network(tmp_path / "damaged.keras")
    with (tmp_path / "damaged.keras").open("r+b") as file:
        file.truncate(1000)
    for name in ("lambda", "damaged"):
        file = tmp_path / f"{name}.keras"
        source = ModelSource(name, file, sha256_of(file), ("a", "b", "c"), (12, 16, 3), None, 1000)
        with pytest.raises(ServingError, match="cannot be loaded"):
            predictor_of(source)
