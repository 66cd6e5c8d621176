"""Every family in every format: it is exported within tolerance, or its refusal is known, and true."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.data.decode import MAX_PIXELS
from harness.deploy.converter import Converter
from harness.deploy.expected import compared_images, expected_predictions
from harness.deploy.export import export_model
from harness.deploy.formats import FORMATS
from harness.deploy.formats.format import ModelToExport
from harness.deploy.loading import load_safely
from harness.deploy.parity import pixels_parity
from harness.errors import ExportError
from harness.model.families import FAMILIES
from harness.records import Params
from tests.deploy.conftest import learnt

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("HARNESS_TESTS") != "full", reason="runs in make test-full"),
]

LEARNT: dict[str, Params] = {
    "baseline": {"family": "baseline"},
    "cnn": {"family": "cnn", "batch_norm": True},
    "resnet": {"family": "resnet"},
    "rnn of GRU": {"family": "rnn", "cell": "gru"},
    "rnn of LSTM": {"family": "rnn", "cell": "lstm"},
}
LITERT = ["tflite_fp32", "tflite_fp16", "tflite_int8"]
REFUSED = {"rnn of GRU": LITERT, "rnn of LSTM": LITERT}
"""The table in docs/export.md."""


def test_every_family_is_tried() -> None:
    """But for the one whose networks are pretrained: tests/e2e/test_pretrained.py exports one."""
    assert {params["family"] for params in LEARNT.values()} == set(FAMILIES) - {"pretrained"}


@pytest.mark.parametrize("name", LEARNT)
def test_a_family_in_every_format(name: str, tmp_path: Path) -> None:
    source = learnt(tmp_path, LEARNT[name], epochs=12)
    bundle = export_model(source, Path("out"))
    wanted = [one.file for key, one in FORMATS.items() if key not in REFUSED.get(name, [])]
    assert [line.file for line in bundle.figures] == wanted
    assert len(bundle.left_out) == (name in REFUSED)
    assert all(key in bundle.left_out[0] for key in REFUSED.get(name, []))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_true(name: str, tmp_path: Path) -> None:
    """What is refused does not work; once it does, the refusal has to go."""
    source = learnt(tmp_path, LEARNT[name], epochs=1)
    reference, _ = expected_predictions(source)
    compared = compared_images(source.dataset, reference)
    with Converter(source.file, reference.training) as converter:
        model = ModelToExport(source.file, load_safely(source.file), source.dataset, MAX_PIXELS, converter)
        expected = model.predict(compared.images)
        for one in (FORMATS[key] for key in REFUSED[name]):
            target = tmp_path / one.file
            with pytest.raises(ExportError):
                one.write(model, target)
                answers = one.answer(target, source.dataset, compared.images)
                pixels_parity(one.file, answers.probabilities, expected, compared.labels, one.tolerance)
