"""Training, `harness predict` and `serving_bytes` make the same of real files of every kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.prepare import prepare
from harness.deploy.export import Bundle
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths.bundle import SAVED_MODEL, SAVED_MODEL_GRAPH
from harness.serving.bundle import open_bundle
from harness.serving.classify import Wanted, classify
from harness.serving.inputs import Input
from harness.serving.predictor import predictor

pytestmark = pytest.mark.slow

TOLERANCE = 0.02


def _picture(width: int = 45, height: int = 33) -> Image.Image:
    """Smooth, with no symmetry, so that every turn is another picture."""
    x, y = np.linspace(0, 1, width)[None, :], np.linspace(0, 1, height)[:, None]
    channels = (230 * x + 0 * y, 200 * y**2 + 0 * x, 60 + 120 * x * y)
    return Image.fromarray(np.dstack(channels).astype(np.uint8))


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(_picture(), "JPEG", quality=92, exif=exif)


def _clear(mode: str) -> Image.Image:
    picture = _picture().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture.convert(mode)


def _deep() -> Image.Image:
    return Image.fromarray(np.asarray(_picture().convert("L")).astype(np.uint16) * 257)


FILES: dict[str, Callable[[], bytes]] = {
    **{f"EXIF {one}.jpg": lambda one=one: _turned(one) for one in range(1, 9)},
    "alpha.png": lambda: _saved(_clear("RGBA"), "PNG"),
    "grey alpha.png": lambda: _saved(_clear("LA"), "PNG"),
    "palette.png": lambda: _saved(_picture().quantize(32), "PNG"),
    "CMYK.jpg": lambda: _saved(_picture().convert("CMYK"), "JPEG", quality=92),
    "16 bits.png": lambda: _saved(_deep(), "PNG"),
    "16 bits.tif": lambda: _saved(_deep(), "TIFF"),
    "grey.jpg": lambda: _saved(_picture().convert("L"), "JPEG", quality=92),
    "one pixel.png": lambda: _saved(_picture(1, 1), "PNG"),
    "5000 by 20.jpg": lambda: _saved(_picture(5000, 20), "JPEG", quality=92),
    "lossy.webp": lambda: _saved(_picture(), "WEBP"),
    "animated.gif": lambda: _saved(
        _picture(), "GIF", save_all=True, append_images=[_picture().transpose(Image.Transpose.ROTATE_180)]
    ),
    "animated.webp": lambda: _saved(
        _picture(), "WEBP", save_all=True, append_images=[_picture().transpose(Image.Transpose.ROTATE_180)]
    ),
}
REFUSED = {"16 bits.tif"}
"""TensorFlow reads no TIFF; the bundle says so."""


@pytest.fixture(scope="module")
def served(pets_bundle: Bundle) -> Any:
    import tensorflow as tf

    (graph,) = pets_bundle.folder.glob(f"{SAVED_MODEL}/**/{SAVED_MODEL_GRAPH}")
    return tf.saved_model.load(str(graph.parent)).signatures["serving_bytes"]


def test_twenty_files_are_the_same_everywhere(pets_bundle: Bundle, served: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    assert len(FILES) == 20
    model = predictor(open_bundle(pets_bundle.folder))
    height, width, _ = model.example_shape
    contents = {name: FILES[name]() for name in sorted(FILES)}
    for label in ("cat", "dog"):
        (tmp_path / "drawn" / label).mkdir(parents=True)
        for number, (name, content) in enumerate(contents.items()):
            file = tmp_path / "drawn" / label / name
            if label == "cat":
                file.write_bytes(content)
            else:
                Image.new("RGB", (5, 5), (number, 200, 0)).save(file.with_suffix(".bmp"))
    prepared = _prepared(tmp_path / "drawn", (height, width), tmp_path / "cache")
    results = list(
        classify(model, [Input(tmp_path / "drawn" / "cat" / name) for name in contents], Wanted(top=2))
    )
    for (name, content), found in zip(contents.items(), results, strict=True):
        assert not found.error, name
        expected = model.network(prepared[name][None].astype(np.float32)).numpy()[0]
        np.testing.assert_array_equal(model.prepare(content), prepared[name], err_msg=name)
        own = {guess.name: guess.probability for guess in found.guesses}
        np.testing.assert_allclose([own[one] for one in model.classes], expected, atol=1e-5, err_msg=name)
        if name in REFUSED:
            with pytest.raises(tf.errors.OpError, match="is a TIFF file, which this model does not read"):
                served(image_bytes=tf.constant([content]))
            continue
        answer = served(image_bytes=tf.constant([content]))
        np.testing.assert_allclose(answer["probabilities"].numpy()[0], expected, atol=TOLERANCE, err_msg=name)
        assert answer["class"].numpy()[0].decode() == found.guesses[0].name, name


def _prepared(folder: Path, size: tuple[int, int], cache: Path) -> dict[str, Any]:
    """What training would see of the class `cat`, by name."""
    config = DatasetConfig(source=str(folder), image_size=size, color="rgb")
    dataset = prepare(config, seed=0, progress=lambda *_: None, cache=cache)
    images = np.load(Path(dataset.folder) / "train_images.npy")
    labels = np.load(Path(dataset.folder) / "train_labels.npy")
    names = sorted(file.name for file in (folder / "cat").iterdir())
    return dict(zip(names, images[labels == dataset.classes.index("cat")], strict=True))


def test_what_is_refused_is_refused_by_all(pets_bundle: Bundle, served: Any) -> None:
    import tensorflow as tf

    model = predictor(open_bundle(pets_bundle.folder))
    for content in (b"", b"<html>", _saved(_picture(), "PNG")[:200], _saved(_picture(), "JPEG")[:300]):
        with pytest.raises(DataError):
            model.prepare(content)
        with pytest.raises(tf.errors.OpError):
            served(image_bytes=tf.constant([content]))
