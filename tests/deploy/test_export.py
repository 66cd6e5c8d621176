"""A bundle is whole and true, or it is not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.deploy.checksums import verify_bundle
from harness.deploy.export import Bundle, export_model
from harness.deploy.trained import TrainedModel
from harness.errors import ExportError
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.model.network import build, with_probabilities
from harness.model.preprocessing import PixelStatistics
from harness.paths import sha256_of

GREY = PixelStatistics((70.0,), (90.0,))

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(tmp_path: Path) -> TrainedModel:
    return digits_model(tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, Bundle]:
    """One export, for tests that only look at it; as if the arrays had been floats from 0 to 1."""
    folder = tmp_path_factory.mktemp("digits")
    model = digits_model(folder)
    model = replace(model, dataset=replace(model.dataset, pixel_range=(0.0, 1.0)))
    (folder / "exports").mkdir()
    return model, export_model(model, folder / "exports" / "out", formats=["saved_model"])


def digits_model(folder: Path) -> TrainedModel:
    """An untrained network serves as well: what matters is that every copy predicts the same."""
    dataset = prepare(DatasetConfig(), seed=0, progress=lambda *_: None, cache=folder / "cache")
    model = with_probabilities(build(complete({"depth": 2, "width": 4}), dataset.image_shape, 10, GREY))
    file = folder / "trial" / "model.keras"
    file.parent.mkdir()
    model.save(file)
    images, _ = load(dataset).validation()
    indices = np.arange(0, 40, 2)
    probabilities = keras.ops.convert_to_numpy(model(images[indices].astype(np.float32)))
    np.savez(
        file.with_name("reference.npz"), indices=indices, probabilities=probabilities, split="validation"
    )
    return TrainedModel(file, sha256_of(file), dataset, {"study": "s", "trial": 3})


def test_a_bundle_is_complete_and_says_what_it_is(exported: tuple[TrainedModel, Bundle]) -> None:
    _, bundle = exported
    out = bundle.folder
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {
        "model.keras", "labels.txt", "metadata.yaml", "README.md", "SHA256SUMS", "requirements.txt",
        "sample_input.json", "expected_output.json",
        "saved_model/1/saved_model.pb", "saved_model/1/variables/variables.index",
    } <= names  # fmt: skip
    assert verify_bundle(out) == []
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode == 0
    assert (out / "labels.txt").read_text().split() == list("0123456789")
    metadata = yaml.safe_load((out / "metadata.yaml").read_text())
    assert metadata["provenance"] == {"study": "s", "trial": 3}
    assert metadata["input"]["height"] == 8
    assert metadata["input"]["files"]["more_than_8_bits"] == "of 16 bits a channel the upper 8 kept"
    assert len(metadata["parity"]) == 3
    assert len(bundle.parity) == 4  # the model file, too, with what training recorded
    assert all(parity.largest_difference <= 1e-4 for parity in bundle.parity)
    assert list(out.parent.iterdir()) == [out]


def test_it_works_in_a_process_without_harness(exported: tuple[TrainedModel, Bundle]) -> None:
    trained, bundle = exported
    images, _ = load(trained.dataset).validation()
    np.save("images.npy", images[:9])
    Image.fromarray(np.kron(images[0][..., 0], np.ones((5, 5), np.uint8))).save("large.png")
    script = (
        "import sys, keras, numpy as np, tensorflow as tf\n"
        "images = np.load('images.npy').astype('float32')\n"
        "a = keras.saving.load_model(sys.argv[1] + '/model.keras')(images).numpy()\n"
        "served = tf.saved_model.load(sys.argv[1] + '/saved_model/1').signatures\n"
        "b = served['serving_default'](image=tf.constant(images))['probabilities'].numpy()\n"
        "large = tf.constant([open('large.png', 'rb').read()])\n"
        "c = served['serving_bytes'](image_bytes=large)['probabilities'].numpy()\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'harness']\n"
        "np.savez('found.npz', a=a, b=b, c=c)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(bundle.folder)], check=True, timeout=300)
    expected = keras.saving.load_model(trained.file)(images[:9].astype(np.float32)).numpy()
    with np.load("found.npz") as found:
        np.testing.assert_allclose(found["a"], expected, atol=1e-6)
        np.testing.assert_allclose(found["b"], expected, atol=1e-6)
        scaled = Image.open("large.png").resize((8, 8), Image.Resampling.BILINEAR)
        by_pillow = keras.saving.load_model(trained.file)(np.asarray(scaled, np.float32)[None, ..., None])
        np.testing.assert_allclose(found["c"], by_pillow.numpy(), atol=1e-2)


def test_a_model_that_predicts_something_else_is_not_exported(trained: TrainedModel) -> None:
    reference = trained.file.with_name("reference.npz")
    with np.load(reference) as stored:
        arrays = dict(stored)
    arrays["probabilities"] = np.roll(arrays["probabilities"], 1, axis=1)
    np.savez(reference, **arrays)
    with pytest.raises(ExportError, match="does not predict what the trained model did"):
        export_model(trained, Path("out"))
    assert list(Path().iterdir()) == []


def test_what_is_there_is_replaced_only_on_request(trained: TrainedModel) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        export_model(trained, Path("out"))
    assert Path("out/mine.txt").read_text() == "mine"
    export_model(trained, Path("out"), formats=["keras"], replace=True)
    assert not Path("out/mine.txt").exists()
    assert verify_bundle(Path("out")) == []


def test_damage_is_found(exported: tuple[TrainedModel, Bundle]) -> None:
    shutil.copytree(exported[1].folder, "out")
    Path("out/labels.txt").write_text("changed")
    Path("out/extra").write_text("")
    Path("out/README.md").unlink()
    assert verify_bundle(Path("out")) == [
        "README.md is missing",
        "extra is not listed",
        "labels.txt was changed",
    ]
    with pytest.raises(ExportError, match="not an exported bundle"):
        verify_bundle(Path())


def test_a_damaged_model_file_is_refused(trained: TrainedModel) -> None:
    content = bytearray(trained.file.read_bytes())
    content[len(content) // 2] ^= 1
    trained.file.write_bytes(content)
    with pytest.raises(ExportError, match="SHA-256"):
        export_model(trained, Path("out"))
    trained.file.unlink()
    with pytest.raises(ExportError, match="is missing"):
        export_model(trained, Path("out"))


def test_a_place_that_cannot_be_written_is_a_sentence(trained: TrainedModel) -> None:
    Path("file").write_text("")
    with pytest.raises(ExportError, match="could not be written"):
        export_model(trained, Path("file/out"))
