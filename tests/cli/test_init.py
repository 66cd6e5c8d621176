"""`harness init` looks at data and writes an experiment file; `harness sweep` and `plan` take data, too."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.cli import main
from harness.experiment.load import load
from harness.paths import StudyPaths
from harness.proposal.means import means
from harness.study.opening import open_study
from tests.conftest import keep_tables


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Standard output and error of a command that exits with this code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    said = capsys.readouterr()
    assert (ended.value.code or 0) == code, said.err
    return said.out, said.err


def draw(path: str, *, size: tuple[int, int] = (64, 56), mode: str = "RGB", seed: int = 0) -> None:
    """A picture of width and height."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    high, kind = (65536, np.uint16) if mode == "I;16" else (256, np.uint8)
    pixels = np.random.default_rng(seed).integers(0, high, shape).astype(kind)
    Image.fromarray(pixels).save(file)


def pictures(
    folder: str, counts: dict[str, int], *, size: tuple[int, int] = (64, 56), mode: str = "RGB"
) -> str:
    """A folder for each class."""
    for label, (name, count) in enumerate(counts.items()):
        for number in range(count):
            draw(f"{folder}/{name}/{number}.png", size=size, mode=mode, seed=1000 * label + number)
    return folder


def test_a_file_is_written_that_loads_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    pictures("My pets", {"cat": 12, "dog": 10})
    out, err = run(capsys, "init", "My pets")
    assert out == "my-pets.yaml\n"
    experiment = load("my-pets.yaml")
    assert experiment.dataset.source == "My pets"
    assert experiment.dataset.image_size == (56, 64)
    assert "found  My pets: 22 images in 2 classes of 10 to 12, colour, 56×64 pixels" in err
    assert "next   harness sweep my-pets.yaml" in err
    text = Path("my-pets.yaml").read_text(encoding="utf-8")
    assert "# Written for My pets: 22 images" in text
    assert "#     harness sweep my-pets.yaml" in text
    if means().backbones:
        assert experiment.space.parameters["family"][0].values.value == "pretrained"  # type: ignore[union-attr]
    else:
        assert "pip install 'harness[pretrained]'" in err


def test_nothing_is_decoded_nor_kept_in_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init", pictures("pets", {"cat": 4, "dog": 4}))
    assert list(Path(os.environ["HARNESS_CACHE"], "datasets").glob("pets*")) == []
    assert not Path(".harness").exists()


def test_what_is_there_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    pictures("pets", {"cat": 4, "dog": 4})
    Path("pets.yaml").write_text("mine")
    _, err = run(capsys, "init", "pets", code=2)
    assert "pets.yaml is there already" in err
    assert Path("pets.yaml").read_text() == "mine"
    run(capsys, "init", "pets", "--force")
    assert load("pets.yaml").name == "pets"
    assert run(capsys, "init", "pets", "--out", "with space.yaml")[0] == "with space.yaml\n"
    assert "harness sweep 'with space.yaml'" in Path("with space.yaml").read_text()
    _, err = run(capsys, "init", "pets", "--out", "nowhere/x.yaml", code=2)
    assert "The folder nowhere does not exist" in err


def test_as_json_it_says_what_was_found_and_decided(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "init", pictures("pets", {"cat": 4, "dog": 5}), "--json", "--timeout", "77")
    assert err == ""
    told = json.loads(out)
    assert told["file"] == "pets.yaml"
    assert told["found"]["classes"] == {"cat": 4, "dog": 5}
    assert told["found"]["size"] == [56, 64]
    decided = {one["key"]: one["value"] for one in told["decided"]}
    assert decided["search.timeout"] == load("pets.yaml").budget.timeout == 77
    assert any("cat: 4" in note for note in told["notes"])


def test_a_known_data_set_is_looked_at_too(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "init", "digits")
    assert out == "digits.yaml\n"
    assert "1,797 images in 10 classes of 174 to 183, grey, 8×8 pixels" in err
    assert load("digits.yaml").dataset.image_size == (8, 8)


def archived() -> str:
    import zipfile

    pictures("pets", {"cat": 4, "dog": 4})
    with zipfile.ZipFile("pets.zip", "w") as archive:
        for file in sorted(Path("pets").rglob("*.png")):
            archive.write(file)
    return "pets.zip"


def as_arrays() -> str:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 20, 24)).astype(np.uint8)
    np.savez("some.npz", x_train=x, y_train=np.arange(40) % 4, x_test=x[:8], y_test=np.arange(8) % 4)
    return "some.npz"


def as_list() -> str:
    pictures("pets", {"cat": 6, "dog": 6})
    rows = [f"pets/{name}/{number}.png,{name}" for name in ("cat", "dog") for number in range(6)]
    Path("list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    return "list.csv"


def in_splits() -> str:
    for split in ("train", "val", "test"):
        pictures(f"split/{split}", {"cat": 6, "dog": 4})
    return "split"


def huge() -> str:
    for name in ("a", "b"):
        for number in range(2):
            file = Path(f"huge/{name}/{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (5000, 4000), number).save(file)
    return "huge"


def with_masks() -> str:
    pictures("scans", {"ill": 4, "well": 4})
    pictures("scans/masks", {"ill": 4, "well": 4})
    return "scans"


def of_mixed_sizes() -> str:
    for number in range(9):
        draw(f"mixed/a/{number}.png", size=(60 + 10 * number, 80), seed=number)
        draw(f"mixed/b/{number}.png", size=(70, 60 + 20 * number), seed=number + 100)
    return "mixed"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (archived, "8 images in 2 classes of 4, colour, 56×64 pixels"),
        (as_arrays, "4 classes of 10 training images, grey, 20×24 pixels, divided into 40 train, 8 test"),
        (as_list, "12 images in 2 classes of 6, colour, 56×64 pixels"),
        (in_splits, "4 to 6 training images, colour, 56×64 pixels, divided into 10 train, 10 validation"),
        (lambda: pictures("grey", {"a": 5, "b": 5}, mode="L"), "10 images in 2 classes of 5, grey"),
        (lambda: pictures("deep", {"a": 5, "b": 5}, mode="I;16"), "10 images in 2 classes of 5, grey"),
        (huge, "4000×5000 pixels"),
        (lambda: pictures("thin", {"a": 5, "b": 5}, size=(900, 9)), "9×900 pixels"),
        (lambda: pictures("few", {"a": 3, "b": 3}), "2 classes have fewer than 5 training images (a: 3)"),
        (of_mixed_sizes, "about 80×70 pixels (from 60 to 220 high, 60 to 140 wide)"),
        (with_masks, "images in"),
    ],
)  # fmt: skip
def test_data_of_every_kind_gets_a_file(
    capsys: pytest.CaptureFixture[str], make: Callable[[], str], said: str
) -> None:
    out, err = run(capsys, "init", make())
    assert said in err
    assert load(out.strip()).name


def one_class() -> str:
    return pictures("one", {"cat": 4})


def no_images() -> str:
    Path("empty").mkdir()
    return "empty"


def flat() -> str:
    for number in range(4):
        draw(f"flat/cat_{number}.png", seed=number)
        draw(f"flat/dog_{number}.png", seed=number + 9)
    return "flat"


def an_experiment_in_a_folder() -> str:
    Path("mine").mkdir()
    Path("mine/mine.yaml").write_text("name: mine\nspace: {depth: 2}\n")
    return "mine"


def unreadable() -> str:
    for name in ("a", "b"):
        for number in range(3):
            file = Path(f"broken/{name}/{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"nothing")
    return "broken"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: "nowhere", "'nowhere' was not found"),
        (one_class, "only the class 'cat'"),
        (no_images, "There are no class folders with images in"),
        (flat, "--set dataset.layout=prefix"),
        (an_experiment_in_a_folder, "There is an experiment file in it: harness sweep mine/mine.yaml"),
        (unreadable, "None of the images of broken can be read. The first: "),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(
    capsys: pytest.CaptureFixture[str], make: Callable[[], str], said: str
) -> None:
    source = make()
    assert said in run(capsys, "init", source, code=1)[1]
    if source != "nowhere":
        assert said in run(capsys, "sweep", source, code=1)[1]
        assert not Path(".harness").exists()
    assert list(Path().glob("*.yaml")) == []


def test_how_data_is_read_is_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "init", flat(), "--set", "dataset.layout=prefix", "--set", "dataset.color=grey")
    experiment = load("flat.yaml")
    assert (experiment.dataset.layout, experiment.dataset.color) == ("prefix", "grey")
    _, err = run(capsys, "init", "flat", "--set", "dataset.layout=prefix", "--set", "seed=3", code=2)
    assert "--set seed=3 does not say how the data is read" in err
    _, err = run(capsys, "init", "flat", "--set", "dataset.layuot=prefix", code=2)
    assert "did you mean layout?" in err
    _, err = run(capsys, "init", "flat", "--set", "dataset.source=digits", code=2)
    assert "Two data sets are named" in err


def test_a_file_that_cannot_be_written_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    pictures("pets", {"cat": 4, "dog": 4})
    _, err = run(capsys, "init", "pets", "--out", "x" * 300 + ".yaml", code=1)
    assert ".yaml cannot be written (File name too long). Choose another place with --out." in err


def test_a_folder_that_cannot_be_written_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """One in which nobody may make files, whoever runs the tests."""
    pictures("pets", {"cat": 4, "dog": 4})
    _, err = run(capsys, "init", "pets", "--out", "/proc/pets.yaml", code=1)
    assert re.search(r"/proc/pets\.yaml cannot be written \([A-Z][a-z ]+\)\. Choose another place", err)
    assert "Traceback" not in err


def test_a_plan_of_data_is_that_of_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    pictures("pets", {"cat": 12, "dog": 12})
    out, err = run(capsys, "plan", "pets", "--trials", "7", "--json")
    told = json.loads(out)["experiment"]
    assert (told["name"], told["search"]["trials"]) == ("pets", 7)
    assert told["dataset"]["image_size"] == [56, 64]
    assert "found  pets: 24 images" in err


def test_a_built_in_experiment_goes_before_a_folder_of_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    pictures("photos", {"cat": 4, "dog": 4})
    _, err = run(capsys, "plan", "photos")
    assert "photos is the built-in experiment; for the folder of that name, give ./photos." in err
    _, err = run(capsys, "plan", "./photos")
    assert "found  ./photos: 8 images" in err


QUICK = (
    "--trials", "1", "--epochs", "1", "--set", "scheduler={kind: none}", "--set", "search.workers=1",
    "--set", "training.precision=float32",
)  # fmt: skip
"""What makes a sweep short."""


@pytest.mark.slow
def test_a_sweep_of_data_keeps_its_file_and_goes_on_with_it(
    capsys: pytest.CaptureFixture[str], mlflow_tables: Path
) -> None:
    keep_tables(mlflow_tables)
    pictures("pets", {"cat": 12, "dog": 12}, size=(24, 20))
    _, err = run(capsys, "sweep", "pets", "--study", "s", *QUICK)
    kept = StudyPaths.of("s").experiment.read_text(encoding="utf-8")
    assert "# Written for pets: 24 images in 2 classes of 12, colour, 20×24 pixels" in kept
    assert "found  pets: 24 images" in err
    begun = open_study("s")[1].experiment
    assert begun.dataset.image_size == (20, 24)

    pictures("roses", {"cat": 12, "dog": 12}, size=(24, 20))
    _, err = run(capsys, "sweep", "roses", "--study", "s", *QUICK, code=2)
    assert "The study s searches on 'pets', not on 'roses'" in err

    # What would be proposed now is something else: the study goes on with what it keeps.
    for number in range(40):
        draw(f"pets/cat/more-{number}.png", size=(30, 30), seed=number)
    _, err = run(capsys, "sweep", "pets/", "--study", "s", *QUICK, "--trials", "2", code=1)
    assert "The data set pets has changed since this study began" in err
    for file in Path("pets/cat").glob("more-*.png"):
        file.unlink()
    run(capsys, "sweep", "./pets", "--study", "s", *QUICK, "--trials", "2")
    state = open_study("s")[1]
    assert len(state.trials) == 2
    assert StudyPaths.of("s").experiment.read_text(encoding="utf-8") == kept

    Path("pets").rename("gone")
    _, err = run(capsys, "sweep", "pets", "--study", "s", *QUICK, "--trials", "3", code=1)
    assert "Put it back where the study s found it" in err
