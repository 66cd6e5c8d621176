"""A bundle in every format: each answers by its own runtime alone, and what is said of them is true."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from harness.analysis.bootstrap import share_interval
from harness.data.arrays import load
from harness.deploy.archive import unpack_bundle
from harness.deploy.checksums import verify_bundle
from harness.deploy.choosing import fitting, installed
from harness.deploy.converter import Converter
from harness.deploy.export import Bundle, export_model
from harness.deploy.formats import FORMATS
from harness.deploy.metadata import hits_of
from harness.deploy.runtimes.answers import answers_of
from harness.deploy.trained import TrainedModel
from harness.errors import ExportError, UsageError

pytestmark = pytest.mark.slow

FILES = [one.file for one in FORMATS.values()]


def test_every_format_is_there_and_within_its_tolerance(
    digits_bundle: Bundle, digits_model: TrainedModel
) -> None:
    assert [line.file for line in digits_bundle.figures] == FILES
    assert digits_bundle.left_out == ()
    images = digits_model.dataset.counts["validation"]
    by_file = {line.file: line for line in digits_bundle.figures}
    for file in FILES[:4]:
        assert by_file[file].largest_difference <= 1e-4
        assert by_file[file].same_class == images
        assert by_file[file].accuracy_lost == 0
    assert by_file["model_fp16.tflite"].same_class >= 0.995 * images
    assert by_file["model_int8.tflite"].accuracy_lost <= 0.02
    sizes = [by_file[f"model_{kind}.tflite"].size for kind in ("fp32", "fp16", "int8")]
    assert sizes == sorted(sizes, reverse=True)
    assert by_file["model.keras"].accuracy == digits_model.evaluations[0].metrics["accuracy"] > 0.85


RUNTIMES = {
    "model.onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(file)
found = [session.run(["probabilities"], {"image": some})[0] for some in (images[:1], images)]
""",
    "model_fp32.tflite": """
from ai_edge_litert.interpreter import Interpreter
classify = Interpreter(file).get_signature_runner()
found = [np.concatenate([classify(image=one[None])["probabilities"] for one in images])] * 2
""",
}
SCRIPT = """
import sys
import numpy as np
file, images = sys.argv[1], np.load("images.npy").astype("float32")
{answer}
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {{"harness", "keras", "tensorflow"}}, loaded
np.savez("found.npz", one=found[0], all=found[1])
"""


@pytest.mark.parametrize("file", RUNTIMES)
def test_a_script_with_numpy_and_the_runtime_answers(
    file: str, digits_bundle: Bundle, digits_model: TrainedModel
) -> None:
    images = load(digits_model.dataset).validation()[0][:21]
    np.save("images.npy", images)
    script = SCRIPT.format(answer=RUNTIMES[file])
    subprocess.run([sys.executable, "-c", script, str(digits_bundle.folder / file)], check=True, timeout=300)
    expected = keras.saving.load_model(digits_model.file)(images.astype(np.float32)).numpy()
    with np.load("found.npz") as found:
        np.testing.assert_allclose(found["one"], expected[: len(found["one"])], atol=1e-5)
        np.testing.assert_allclose(found["all"], expected, atol=1e-5)


REQUEST = """
import json, sys
sys.modules["keras"] = None  # whoever imports it fails
import tensorflow as tf
request = json.load(open(sys.argv[1] + "/sample_input.json"))
served = tf.saved_model.load(sys.argv[1] + "/saved_model/1").signatures[request["signature_name"]]
answer = served(image=tf.constant(request["instances"], tf.float32))
rows = zip(*(answer[name].numpy().tolist() for name in ("probabilities", "class_index", "class")))
names = ("probabilities", "class_index", "class")
print(json.dumps([dict(zip(names, (row[0], row[1], row[2].decode()))) for row in rows]))
assert "harness" not in {name.split(".")[0] for name in sys.modules}
"""


def test_the_sample_is_answered_as_expected_without_keras_and_harness(digits_bundle: Bundle) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REQUEST, str(digits_bundle.folder)],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    found = json.loads(done.stdout)
    expected = json.loads((digits_bundle.folder / "expected_output.json").read_text())["predictions"]
    assert len(found) == len(expected) == 3
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.pop("probabilities"), wanted.pop("probabilities"), atol=1e-5)
        assert one == wanted


def test_metadata_is_for_programs(digits_bundle: Bundle, digits_model: TrainedModel) -> None:
    described = yaml.safe_load((digits_bundle.folder / "metadata.yaml").read_text())
    assert described["task"] == "classify"
    assert described["names"] == dict(enumerate("0123456789"))
    assert (described["imgsz"], described["channels"]) == ([8, 8], 1)
    assert described["interpolation"] == "bilinear"
    assert described["architecture"] == "cnn"
    assert described["license"] == {"data": "CC-BY-4.0"}
    assert described["dataset"]["digest"] == digits_model.dataset.digest
    assert described["provenance"] == digits_model.provenance
    assert [line["file"] for line in described["formats"]] == FILES
    evaluation = digits_model.evaluations[0]
    assert described["metrics"]["validation"]["confusion"] == evaluation.confusion
    interval = share_interval(*hits_of(evaluation))
    assert interval is not None
    assert described["metrics"]["validation"]["accuracy_interval_95"] == [interval.low, interval.high]
    needed = dict(
        line.split("==") for line in (digits_bundle.folder / "requirements.txt").read_text().split()
    )
    names = ("keras", "tensorflow", "onnxruntime", "ai-edge-litert", "numpy")
    assert needed == described["requirements"] == {name: version(name) for name in names}


def test_the_model_card_is_one(digits_bundle: Bundle, digits_model: TrainedModel) -> None:
    text = (digits_bundle.folder / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["pipeline_tag"] == "image-classification"
    (result,) = front["model-index"][0]["results"]
    accuracy = digits_model.evaluations[0].metrics["accuracy"]
    assert result["metrics"][0]["value"] == accuracy
    assert f"- accuracy: {accuracy:.4f} (95 % interval " in text
    for heading in ("Intended use", "Models", "Data", "On the", "Limits", "Files"):
        assert f"\n## {heading}" in text
    first = digits_model.evaluations[0].confusion[0]
    assert f"| 0 | {' | '.join(map(str, first))} |" in text
    assert "it was not tried on\ntest images" in text


def test_the_archive_is_the_bundle(digits_bundle: Bundle) -> None:
    assert digits_bundle.archive == digits_bundle.folder.with_name("digits.zip")
    unpack_bundle(digits_bundle.archive, Path("again"))
    assert verify_bundle(Path("again")) == []
    for file in digits_bundle.folder.rglob("*"):
        if file.is_file():
            assert (Path("again") / file.relative_to(digits_bundle.folder)).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:\\evil.txt"])
def test_an_archive_that_reaches_out_is_refused(name: str, digits_bundle: Bundle) -> None:
    assert digits_bundle.archive is not None
    shutil.copy(digits_bundle.archive, "hostile.zip")
    with zipfile.ZipFile("hostile.zip", "a") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(ExportError, match="a name that cannot be trusted"):
        unpack_bundle(Path("hostile.zip"), Path("inner/again"))
    assert list(Path.cwd().rglob("*evil*")) == []
    assert list(Path("inner").iterdir()) == []


def test_an_archive_with_a_link_or_with_another_file_is_refused(digits_bundle: Bundle) -> None:
    assert digits_bundle.archive is not None
    shutil.copy(digits_bundle.archive, "more.zip")
    with zipfile.ZipFile("more.zip", "a") as archive:
        archive.writestr("more.txt", "more")
    with pytest.raises(ExportError, match=r"not hold a whole bundle: more\.txt is not listed"):
        unpack_bundle(Path("more.zip"), Path("again"))
    assert not Path("again").exists()
    shutil.copy(digits_bundle.archive, "link.zip")
    with zipfile.ZipFile("link.zip", "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ExportError, match="'link', which is not a plain file"):
        unpack_bundle(Path("link.zip"), Path("again"))


def test_without_prepared_data_the_images_of_the_study_serve(digits_model: TrainedModel) -> None:
    """Those that it was trained on, to quantise by, and those that copies are compared with."""
    gone = replace(digits_model, dataset=replace(digits_model.dataset, folder="gone"))
    bundle = export_model(gone, Path("out"), formats=["tflite_int8"])
    assert [(line.file, line.images) for line in bundle.figures] == [
        ("model.keras", 64),
        ("model_int8.tflite", 64),
    ]
    assert all(line.accuracy is not None for line in bundle.figures)


def test_formats_are_chosen_by_name(digits_model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match=r"no format 'onx'; did you mean onnx\? There are keras, saved_model,"
    ):
        export_model(digits_model, Path("out"), formats=["onx"])
    missing = replace(FORMATS["onnx"], packages=("not-there",))
    monkeypatch.setattr("harness.deploy.choosing.FORMATS", {"keras": FORMATS["keras"], "onnx": missing})
    how = r"pip install 'harness\[onnx\]'"
    with pytest.raises(ExportError, match=rf"The libraries of onnx are not installed. To get them: {how}"):
        export_model(digits_model, Path("out"), formats=["onnx", "keras"])
    bundle = export_model(digits_model, Path("out"))
    assert bundle.left_out == (
        "Left out, for want of their libraries: onnx. To get them: pip install 'harness[onnx]'",
    )
    assert [line.file for line in bundle.figures] == ["model.keras"]
    assert sorted(file.name for file in Path("out").iterdir()) == sorted([
        "README.md", "SHA256SUMS", "expected_output.json", "labels.txt", "metadata.yaml", "model.keras",
        "requirements.txt", "sample_input.json",
    ])  # fmt: skip


def test_what_does_not_suit_a_network_is_left_out_or_refused_by_name(digits_model: TrainedModel) -> None:
    inputs = keras.Input((8, 8, 1))
    rows = keras.layers.Reshape((8, 8))(inputs)
    both_ways = keras.layers.Bidirectional(keras.layers.GRU(2))(rows)
    network = keras.Model(inputs, keras.layers.Dense(10, "softmax")(both_ways))
    why = "LiteRT has no operations for the loops of GRU layers over batches of any size"
    choice = fitting(installed(None), network, digits_model, training_images=True, named=False)
    assert list(choice.formats) == ["keras", "saved_model", "onnx"]
    assert choice.left_out[0].startswith(f"Left out: tflite_fp32, tflite_fp16, tflite_int8. {why}")
    with pytest.raises(ExportError, match=f"This model cannot be tflite_fp16. {why}"):
        fitting(installed(["tflite_fp16"]), network, digits_model, training_images=True, named=True)
    plain = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
    choice = fitting(installed(None), plain, digits_model, training_images=False, named=False)
    assert [name for name in FORMATS if name not in choice.formats] == ["tflite_int8"]
    assert "harness resume digits prepares it again and keeps a few" in choice.left_out[0]


def test_a_runtime_that_crashes_and_a_file_that_is_none_are_sentences(tmp_path: Path) -> None:
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    images = np.zeros((2, 8, 8, 1), np.uint8)
    with pytest.raises(ExportError, match=r"^model\.x gives no answer: the process crashed \(SIGSEGV\)\."):
        answers_of(str(crashing.with_suffix("")), Path("model.x"), images)
    Path("model.onnx").write_bytes(b"none")
    with pytest.raises(ExportError, match=r"^model\.onnx gives no answer: .*onnx") as caught:
        answers_of("onnx_runtime", Path("model.onnx"), images)
    assert "\n" not in str(caught.value)


def test_a_conversion_that_fails_is_a_sentence(digits_model: TrainedModel) -> None:
    """The process goes on with the next one; without training images int8 cannot be made."""
    with Converter(digits_model.file, None) as convert:
        with pytest.raises(ExportError, match=r"^a\.tflite could not be made: \w+.*Nothing was exported\.$"):
            convert("litert:int8", Path("a.tflite"))
        convert("litert:fp32", Path("b.tflite"))
    assert not Path("a.tflite").exists()
    assert Path("b.tflite").stat().st_size > 0
