"""Paths of models of one's own: absolute from where a file is loaded on, and needed only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExperimentError
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump, load, restore
from harness.experiment.parameters import complete

FILE = """name: mine
space:
  family: pretrained
  backbone: [mine.keras, resnet50]
  dropout: {type: float, low: 0.0, high: 0.3, when: {backbone: mine.keras}}
start_with:
  - {backbone: mine.keras, dropout: 0.1}
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the working directory, which is the home directory, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("mine.keras").write_bytes(b"")
    return tmp_path / "mine.keras"


def loaded(text: str = FILE, *overrides: str) -> Experiment:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return load("mine.yaml", overrides)


def test_a_path_is_absolute_wherever_the_file_names_it(model: Path) -> None:
    values = dump(loaded())
    assert values["space"]["backbone"] == [str(model), "resnet50"]
    assert values["space"]["dropout"]["when"] == {"backbone": str(model)}
    assert values["start_with"] == [{"backbone": str(model), "dropout": 0.1}]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("mine.keras", "{}/mine.keras"),
        ("./mine.keras", "{}/mine.keras"),
        ("~/mine.keras", "{}/mine.keras"),
        ("shipped/../mine.keras", "{}/mine.keras"),
        ("shipped", "{}/shipped"),
        ("{type: constant, value: mine.keras}", {"type": "constant", "value": "{}/mine.keras"}),
        (
            "{type: categorical, choices: [shipped, ./mine.keras]}",
            {"type": "categorical", "choices": ["{}/shipped", "{}/mine.keras"]},
        ),
        (
            "[{type: constant, value: shipped, when: {family: pretrained}}]",
            [{"type": "constant", "value": "{}/shipped", "when": {"family": "pretrained"}}],
        ),
        ("resnet50", "resnet50"),
    ],
)
def test_every_way_to_write_it(entry: str, expected: Any, model: Path) -> None:
    Path("shipped").mkdir()
    Path("resnet50").mkdir()  # a registered name is that, whatever lies around

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: whole(one) for key, one in value.items()}
        if isinstance(value, list):
            return [whole(one) for one in value]
        return value.replace("{}", str(model.parent))

    text = "name: mine\nspace: {family: pretrained}\n"
    assert dump(loaded(text, f"space.backbone={entry}"))["space"]["backbone"] == whole(expected)


def test_what_was_recorded_is_read_without_the_model_and_from_anywhere(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = dump(loaded())
    model.unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert dump(restore(recorded)) == recorded
    params = complete({"family": "pretrained", "backbone": str(model)})
    assert params["backbone"] == str(model)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("./none.keras", "there is no file or folder './none.keras'"),
        ("~/none", "there is no file or folder '~/none'"),
        ("mine.keras/inside", "there is no file or folder 'mine.keras/inside'"),
        ("~nobody/model.keras", "there is no file or folder '~nobody/model.keras'"),
        ("x" * 300, "is not one of efficientnet_lite0"),
        (f"{'x' * 300}.keras", "cannot be read: File name too long"),
        ("loop/model.keras", "'loop/model.keras' cannot be read: Too many levels of symbolic links"),
        ('"a\\0b.keras"', r"there is no file or folder 'a\\x00b.keras'"),
        ('""', "'' is not one of efficientnet_lite0"),
        ("efficientnet", "'efficientnet' is not one of efficientnet_lite0"),
        ("[]", "the choices are empty"),
        ("{type: categorical, choices: 5}", "the choices are empty"),
        ("{type: constant, value: {a: mine.keras}}", "is not a value"),
        ("{when: 5}", "type is None"),
        ("[[mine.keras]]", "is not a value"),
    ],
)
def test_what_names_no_model_is_a_sentence(value: str, message: str) -> None:
    Path("loop").symlink_to("loop")
    with pytest.raises(ExperimentError, match=message) as refusal:
        loaded("name: mine\nspace: {family: pretrained}\n", f"space.backbone={value}")
    assert "space.backbone: " in str(refusal.value)
