"""How large pictures are prepared: as the file says, or as large as the families in the space need them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.experiment.load import dump, load, restore, single
from harness.experiment.old_files import with_added_parameters
from harness.experiment.parameters import complete
from harness.model.families import FAMILIES

FILE = """name: mine
space:
  family: [cnn, resnet]
  width: {type: categorical, choices: [16, 224, 160], when: {family: cnn}}
  convs: {type: int, low: 1, high: 3}
"""


@pytest.fixture(autouse=True)
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the families asks for pictures as large as its width."""
    monkeypatch.setitem(FAMILIES, "cnn", replace(FAMILIES["cnn"], longest_side="width"))


def longest(*overrides: str, text: str = FILE) -> int:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return load("mine.yaml", overrides).dataset.longest_side


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], 224),
        (["space.width=[16, 160]"], 160),
        (["space.width=128"], 128),
        (["space.width={type: int, low: 16, high: 140}"], 140),
        (["space.width=16"], 96),
        (["space.family=resnet"], 96),
        (["dataset.longest_side=100"], 100),
        (["dataset.longest_side=64"], 64),
        (["dataset.image_size=64"], 96),
        (["dataset.image_size=[300, 200]"], 96),
    ],
)
def test_the_largest_value_in_the_space_decides_unless_the_file_does(
    overrides: list[str], expected: int
) -> None:
    assert longest(*overrides) == expected


def test_a_space_that_does_not_name_the_parameter_has_its_default() -> None:
    """Whose width is 32."""
    assert longest(text="name: mine\nspace: {depth: 2}\n") == 96


def test_what_was_decided_is_recorded_and_stays() -> None:
    Path("mine.yaml").write_text(FILE, encoding="utf-8")
    experiment = load("mine.yaml")
    assert restore(dump(experiment)).dataset.longest_side == 224
    assert single(experiment).dataset.longest_side == 224
    older = dump(experiment)
    del older["dataset"]["longest_side"]
    assert restore(older).dataset.longest_side == 96


@pytest.mark.parametrize(
    ("family", "image_shape", "stem"),
    [
        ("cnn", (48, 48, 3), "auto"),
        ("cnn", (60, 60, 3), "none"),
        ("resnet", (224, 160, 1), "none"),
        ("rnn", (96, 96, 3), "auto"),
        ("plugin", (96, 96, 3), "auto"),
    ],
)
def test_a_trial_that_was_recorded_without_a_stem_has_had_none(
    family: str, image_shape: tuple[int, int, int], stem: str
) -> None:
    whole = complete(
        {} if family == "plugin" else {"family": family}, "m:build" if family == "plugin" else None
    )
    recorded = {name: value for name, value in whole.items() if name != "stem"}
    assert with_added_parameters(recorded, image_shape) == whole | {"stem": stem}
    assert with_added_parameters(whole, image_shape) == whole
