"""An export is tried on files as they come, says what it reads, and fails where it sees something else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from harness.data.decode import decode
from harness.deploy.artefact import Artefact
from harness.deploy.export import Bundle, export_model
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats import FORMATS
from harness.deploy.model_card import model_card
from harness.deploy.parity import Parity
from harness.deploy.trained import TrainedModel
from harness.errors import ExportError

pytestmark = pytest.mark.slow


def of_files(bundle: Bundle) -> FilesParity:
    (found,) = [one for one in bundle.parity if isinstance(one, FilesParity)]
    return found


def test_it_is_tried_on_originals_of_every_kind_and_on_drawn_ones(pets_bundle: Bundle) -> None:
    parity = of_files(pets_bundle)
    assert (parity.originals, parity.kinds, parity.drawn) == (8, 4, 35)
    assert parity.images == parity.same_class == 43
    assert parity.largest_difference < 1e-5
    assert parity.read == ("BMP", "GIF", "JPEG", "PNG", "WEBP")
    difference = f"{parity.largest_difference:.1e}"
    assert parity.sentence() == (
        "saved_model/1 serving_bytes: 8 original files of 4 kinds and 35 drawn ones: pixels differ by at "
        f"most 0 of 255, probabilities by {difference}, same class on 43 of 43; refused: TIFF, PPM"
    )


def test_what_is_not_read_is_said_with_its_share(pets_bundle: Bundle) -> None:
    assert of_files(pets_bundle).refused_kinds == {"TIFF": 5}
    (warning,) = pets_bundle.warnings
    assert warning == (
        "serving_bytes does not read TIFF: 5 of the data set's 40 files (12%). The answer is, for example: "
        "the file is a TIFF file, which this model does not read; convert it to PNG or JPEG. Convert such "
        "files before you send them, or send decoded pixels to serving_default."
    )
    described = yaml.safe_load((pets_bundle.folder / "metadata.yaml").read_text())
    assert described["input"]["files"]["read"] == ["BMP", "GIF", "JPEG", "PNG", "WEBP"]
    assert described["input"]["files"]["refused_of_dataset"] == {"TIFF": 5}
    assert described["parity"][2]["originals"] == 8
    assert warning in (pets_bundle.folder / "README.md").read_text()


SCRIPT = """
import json, sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1] + "/saved_model/1").signatures
found = {}
for file in sys.argv[2:]:
    try:
        answer = served["serving_bytes"](image_bytes=tf.constant([open(file, "rb").read()]))
        found[file] = answer["probabilities"].numpy()[0].tolist()
    except tf.errors.InvalidArgumentError as error:
        found[file] = str(error)
shape = [2, *served["serving_default"].structured_input_signature[1]["image"].shape[1:]]
pixels = np.random.default_rng(0).integers(0, 256, shape)
by_type = {
    name: served[name](image=tf.constant(pixels.astype(kind)))["probabilities"].numpy().tolist()
    for name, kind in {"serving_default": "float32", "serving_uint8": "uint8", "serving_int32": "int32",
                       "serving_int64": "int64", "serving_float64": "float64"}.items()
}
for kind in ("uint8", "int64", "float64"):
    answer = served["serving_default"](image=pixels.astype(kind))
    by_type["array of " + kind] = answer["probabilities"].numpy().tolist()
by_type["list"] = served["serving_default"](image=pixels.tolist())["probabilities"].numpy().tolist()
assert "harness" not in {name.split(".")[0] for name in sys.modules}
print(json.dumps([found, by_type]))
"""


def test_files_and_pixels_of_any_type_without_harness(
    pets_bundle: Bundle, pets_model: TrainedModel, pets_files: list[Path]
) -> None:
    """In a process with nothing but TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(pets_bundle.folder), *map(str, pets_files)],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    found, by_type = json.loads(done.stdout)
    network = keras.saving.load_model(pets_model.file)
    height, width, channels = pets_model.dataset.image_shape
    assert len(pets_files) == 40
    for file in pets_files:
        if file.suffix == ".tif":
            assert "image_bytes[0] is a TIFF file, which this model does not read" in found[str(file)]
            continue
        pixels = decode(file.read_bytes(), (height, width), channels).pixels
        expected = network(pixels[None].astype(np.float32)).numpy()[0]
        np.testing.assert_allclose(found[str(file)], expected, atol=1e-5)
    for answer in by_type.values():
        np.testing.assert_allclose(answer, by_type["serving_default"], atol=1e-6)


def test_a_graph_that_sees_something_else_is_not_exported(
    pets_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the network, which was never trained, hardly tells pictures apart."""
    monkeypatch.setattr("harness.deploy.graph.decode.upright", lambda image, orientation: image)
    with pytest.raises(
        ExportError, match=r"sees something else in .* than training did: pixels differ by up"
    ):
        export_model(pets_model, Path("out"), formats=["saved_model"])
    assert list(Path().iterdir()) == []


def test_without_any_images_the_way_on_is_said(pets_model: TrainedModel) -> None:
    for folder in (None, Path("nowhere")):
        with pytest.raises(ExportError, match="harness resume pets prepares it again and keeps the images"):
            export_model(replace(pets_model, reference=folder), Path("out"))
    assert pets_model.reference is not None
    shutil.copytree(pets_model.reference, "damaged")
    with Path("damaged/images.npz").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ExportError, match="or damaged ones"):
        export_model(replace(pets_model, reference=Path("damaged")), Path("out"))


def test_the_range_of_deep_pixels_is_described(pets_model: TrainedModel, pets_bundle: Bundle) -> None:
    deep = replace(pets_model.dataset, pixel_range=(0.0, 4095.0))
    pixels = next(one for one in pets_bundle.parity if isinstance(one, Parity))
    exported = [Artefact(FORMATS["saved_model"], pixels, of_files(pets_bundle), pets_bundle.figures[1])]
    assert "the values from 0 to 4095 spread over 0 to 255" in model_card(pets_model, deep, exported)
    flat = model_card(pets_model, pets_model.dataset, exported)
    assert "of 16 bits a channel the upper 8 kept" in flat
