"""`harness plan` shows how data would be taken, without decoding any."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.cli import main
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Standard output and error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", "plan", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    said = capsys.readouterr()
    return said.out, said.err


def folders() -> None:
    for folder in ("train/cat", "train/dog", "dev/cat", "dev/dog", "test"):
        for number in range(3):
            file = Path("pets", folder, f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"not decoded")


def test_a_plan_says_how_a_folder_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    folders()
    out, err = plan(capsys, "--dataset", "pets")
    assert "pets: 6 train, 6 validation images, 2 classes (nothing is decoded)" in out
    assert "dev is validation" in err
    assert "Not used: test (3 images)" in err
    assert not Path(os.environ["HARNESS_CACHE"], "datasets").exists()


def test_a_plan_as_json_has_the_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    folders()
    out, err = plan(capsys, "--dataset", "pets", "--json")
    assert err == ""
    notes = json.loads(out)["data"]["notes"]
    assert any("dev is validation" in note for note in notes)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_plan_gives_advice_about_the_file(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    Path("mine.yaml").write_text(
        "name: mine\nspace: {depth: 2, schedule: constant}\nlimits: {parameters: 9}\n"
    )
    _, err = plan(capsys, "mine.yaml", *arguments)
    assert err == "mine.yaml: The key limits is now called constraints; rename it.\n"


def test_a_plan_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = plan(capsys, "--dataset", "nowhere")
    assert "rungs" in out
    assert "The data set 'nowhere' was not found" in err


def prepared_digits() -> None:
    prepare(DatasetConfig(source="digits"), seed=0, progress=lambda *_: None)


def test_a_plan_without_prepared_data_says_that_costs_are_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = plan(capsys)
    assert "forecast    not known: The data has not been prepared yet" in out
    out, _ = plan(capsys, "--json")
    assert list(json.loads(out)["forecast"]) == ["unknown"]


@pytest.mark.slow
def test_a_plan_forecasts_what_configurations_and_the_sweep_take(capsys: pytest.CaptureFixture[str]) -> None:
    prepared_digits()
    Path("mine.yaml").write_text(
        "name: mine\ntraining: {epochs: 4}\nsearch: {trials: 9, workers: 2, timeout: 1}\n"
        "space: {depth: [1, 2], width: [4, 48], batch_size: 32}\n"
    )
    out, _ = plan(capsys, "mine.yaml", "--json")
    found = json.loads(out)["forecast"]
    seconds = [found[which]["epoch_seconds"] for which in ("cheapest", "typical", "dearest")]
    assert 0 < seconds[0] <= seconds[1] <= seconds[2]
    assert found["dearest"]["params"]["depth"] == 2
    assert found["dearest"]["params"]["width"] == 48
    assert found["cheapest"]["params"]["width"] == 4
    for which in ("cheapest", "typical", "dearest"):
        one = found[which]
        assert one["training_seconds"] > 4 * one["epoch_seconds"]
        assert one["memory_bytes"] > 100e6
    assert found["sweep"]["low"] <= found["sweep"]["middle"] <= found["sweep"]["high"]
    assert (found["workers"], found["drawn"], found["too_large"]) == (2, 64, 0)
    assert 0 <= found["too_long"] <= 64
    rates = Path(os.environ["HARNESS_CACHE"], "calibration.json")
    known = rates.read_text()
    assert len(json.loads(known)) == 1
    table = plan(capsys, "mine.yaml")[0]  # now with known rates
    assert rates.read_text() == known
    assert f"{found['dearest']['epoch_seconds']:.3g} s an epoch" in table
    assert "without a time limit" in table


@pytest.mark.slow
@pytest.mark.parametrize("code", ["raise RuntimeError('no such thing')", "import os; os._exit(3)"])
def test_a_plug_in_that_fails_is_planned_all_the_same(capsys: pytest.CaptureFixture[str], code: str) -> None:
    prepared_digits()
    Path("broken.py").write_text(f"def build(params, image_shape, num_classes):\n    {code}\n")
    Path("mine.yaml").write_text("name: mine\nmodel: broken:build\nspace: {batch_size: [16, 32]}\n")
    out, _ = plan(capsys, "mine.yaml", "--json")
    found = json.loads(out)
    assert found["rungs"]
    assert "unknown" in found["forecast"]
    if "raise" in code:
        assert "no such thing" in found["forecast"]["unknown"]


def draw(folder: str, width: int, height: int) -> None:
    for label in ("cat", "dog"):
        Path(folder, label).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(Path(folder, label, f"{number}.png"))


@pytest.mark.parametrize("name", ["cifar10", "quickstart"])
def test_a_built_in_experiment_for_small_pictures_names_what_writes_one_for_larger(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw("my photographs", 120, 60)
    said = (
        f"The experiment {name} was made for small pictures, and these have 48×96 pixels. "
        "`harness init 'my photographs'` writes an experiment that fits them."
    )
    _, err = plan(capsys, name, "--dataset", "my photographs")
    assert err.splitlines().count(said) == 1
    out, _ = plan(capsys, name, "--dataset", "my photographs", "--json")
    assert json.loads(out)["data"]["notes"] == []


def test_sizes_that_fit_and_files_of_ones_own_need_no_such_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw("large", 50, 49)
    draw("small", 48, 20)
    Path("mine.yaml").write_text("name: mine\nspace: {depth: 2}\n")
    for arguments in (
        ["cifar10", "--dataset", "small"],
        ["cifar10", "--dataset", "large", "--set", "dataset.image_size=32"],
        ["imbalanced", "--dataset", "large"],
        ["mine.yaml", "--dataset", "large"],
        ["plugin", "--dataset", "large"],
        ["cifar10"],
    ):
        _, err = plan(capsys, *arguments)
        assert "harness init" not in err, arguments
    _, err = plan(capsys, "cifar10", "--dataset", "large")
    assert "harness init large" in err


def test_a_plan_without_an_augmentation_says_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = plan(capsys, "cifar10", "--set", "space.augmentation=none")
    assert "augmentation_strength" not in out
    assert "left out augmentation_strength: no effect beside the augmentation that --set gives" in err
