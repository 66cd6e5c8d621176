"""Models of clips as bundles: arrays of frames in every format, compared on real clips; no bytes of files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.data.arrays import load
from harness.deploy.checksums import verify_bundle
from harness.deploy.export import export_model
from harness.deploy.formats import FORMATS
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Params
from harness.serving.bundle import open_bundle
from harness.serving.predictor import predictor
from tests.clips import write_gif
from tests.deploy.conftest import learnt

pytestmark = pytest.mark.slow

LITERT = ["tflite_fp32", "tflite_fp16", "tflite_int8"]
OFTEN: list[Params] = [{"family": "rnn", "depth": 1, "width": 8}, {"family": "cnn", "depth": 2, "width": 8}]
RARELY: list[Params] = [
    {"family": "rnn", "cell": "lstm"},
    {"family": "resnet"},
    {"family": "baseline"},
]
CASES = OFTEN + (RARELY if os.environ.get("HARNESS_TESTS") == "full" else [])
CLOSE = 1e-5


def draw_shades(folder: Path) -> DatasetConfig:
    """Clips of dark and of light noise, 20 each, of which 4 frames are taken."""
    for label, name in enumerate(("dark", "light")):
        for number in range(20):
            rng = np.random.default_rng([label, number])
            noise = rng.integers(100 * label, 100 * label + 120, (5, 12, 10)).astype(np.uint8)
            write_gif(folder / "shades" / name / f"{number}.gif", noise)
    return DatasetConfig(source=str(folder / "shades"), frames=4, color="grey")


@pytest.mark.parametrize("params", CASES, ids=lambda params: "-".join(map(str, params.values())))
def test_a_model_of_clips_in_every_format(params: Params, tmp_path: Path) -> None:
    source = learnt(tmp_path, params, epochs=4, config=draw_shades(tmp_path))
    bundle = export_model(source, tmp_path / "out")
    refused = LITERT if params["family"] == "rnn" else []
    assert [line.file for line in bundle.figures] == [
        one.file for name, one in FORMATS.items() if name not in refused
    ]
    assert all(name in " ".join(bundle.left_out) for name in refused)
    assert {line.images for line in bundle.figures} == {source.dataset.counts["validation"]}
    assert max(line.largest_difference for line in bundle.figures[:3]) <= 1e-4
    assert verify_bundle(bundle.folder) == []
    assert not any("serving_bytes" in parity.artefact for parity in bundle.parity)

    clips, _ = load(source.dataset).on_disk("validation")
    loaded = predictor(open_bundle(bundle.folder))
    assert (loaded.source.frames, loaded.example_shape) == (4, (4, 12, 10, 1))
    expected = loaded.predict(clips[:3])
    request = json.loads((bundle.folder / "sample_input.json").read_text())
    answer = json.loads((bundle.folder / "expected_output.json").read_text())
    np.testing.assert_array_equal(request["instances"], clips[:3])
    found = [one["probabilities"] for one in answer["predictions"]]
    np.testing.assert_allclose(found, expected, atol=CLOSE)


def test_a_bundle_says_that_it_takes_arrays_of_frames(tmp_path: Path) -> None:
    source = learnt(tmp_path, OFTEN[1], epochs=1, config=draw_shades(tmp_path))
    folder = export_model(source, tmp_path / "out", formats=["saved_model"]).folder
    described = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    assert described["description"] == "A clip classifier of 2 classes"
    given = described["input"]
    assert (given["frames"], given["height"], given["width"], given["channels"]) == (4, 12, 10, 1)
    assert "there is no serving_bytes" in given["bytes"]
    assert "files" not in given
    assert sorted(given["signatures"]) == [
        "serving_default", "serving_float64", "serving_int32", "serving_int64", "serving_uint8",
    ]  # fmt: skip
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: video-classification" in readme
    assert "Input: clips of 4 frames of 12×10 pixels, 1 channel, values 0 to 255." in readme
    assert 'np.zeros((1, 4, 12, 10, 1), "float32")' in readme
    assert "# A clip classifier" in readme
    assert "on clips that are not for testing" in readme
    assert "There is no signature for the bytes of files." in readme
    # TensorFlow alone has the same signatures.
    import tensorflow as tf

    served = tf.saved_model.load(str(folder / "saved_model" / "1")).signatures
    assert sorted(served) == sorted(given["signatures"])
