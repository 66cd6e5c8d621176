"""What is said about data before anything is trained, and what a study that goes on keeps of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError, ExperimentError
from harness.experiment.load import load, single, with_search
from harness.experiment.parameters import complete
from harness.model.families import FAMILIES
from harness.paths import StudyPaths, make_folder
from harness.records import LogRecord, TrialStarted
from harness.study.state import StudyState, fold
from harness.sweeping.checks import as_begun, check_same_experiment
from harness.sweeping.plan import Stop
from harness.sweeping.preparing import PreparedData, prepare_data
from tests.studies import DATASET, study_started


@dataclass
class Watcher:
    notes: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def progress(self, *_: Any) -> None:
        pass

    opened = on_pulse = on_record = progress


@pytest.fixture
def photographs() -> str:
    for label in ("cat", "dog"):
        Path("photographs", label).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng(number + 50 * (label == "dog")).integers(0, 255, (150, 200, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(Path("photographs", label, f"{number}.png"))
    return "photographs"


def prepared(experiment: Any) -> tuple[PreparedData, list[str]]:
    watcher, paths = Watcher(), StudyPaths.of("s")
    make_folder(paths.folder)
    return prepare_data(experiment, paths, StudyState(), watcher, Stop(), recheck=False), watcher.notes


def test_a_built_in_experiment_for_small_pictures_says_so_once(photographs: str) -> None:
    overrides = [f"dataset.source={photographs}"]
    said = (
        "The experiment cifar10 was made for small pictures, and these have 72×96 pixels. "
        "`harness init photographs` writes an experiment that fits them."
    )
    experiment = load("cifar10", overrides)
    for one in (experiment, single(experiment), with_search(experiment, {"trials": 3})):
        assert prepared(one)[1].count(said) == 1
    assert prepared(load("cifar10", [*overrides, "dataset.image_size=48"]))[1] == []


def test_an_experiment_with_a_family_that_asks_for_a_size_is_for_any(
    photographs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "cnn", replace(FAMILIES["cnn"], longest_side="width"))
    data, notes = prepared(load("cifar10", [f"dataset.source={photographs}", "space.width=[16, 160]"]))
    assert data.dataset.image_shape == (120, 160, 3)
    assert notes == []


def test_arrays_name_no_folder() -> None:
    np.savez(
        "large.npz", x=np.random.default_rng(0).integers(0, 255, (40, 60, 60), np.uint8), y=np.arange(40) % 2
    )
    (note,) = prepared(load("quickstart", ["dataset.source=large.npz"]))[1]
    assert "these have 60×60 pixels. `harness init` writes" in note


def begun(
    overrides: list[str], shape: tuple[int, int, int], params: dict[str, Any] | None = None
) -> StudyState:
    dataset = replace(DATASET, image_shape=shape)
    records = [study_started(load("mine.yaml", overrides), dataset=dataset)]
    if params is not None:
        records.append(TrialStarted(trial=0, params=params, sampled={}, seed=0, time=1))  # type: ignore[arg-type]
    return fold(LogRecord(number, event) for number, event in enumerate(records, 1))


def test_a_study_keeps_the_size_of_its_pictures_when_its_space_is_edited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, "cnn", replace(FAMILIES["cnn"], longest_side="width"))
    Path("mine.yaml").write_text("name: mine\nspace: {width: [16, 224]}\n")
    state, said = begun([], (8, 8, 1)), list[str]()
    edited = as_begun(load("mine.yaml", ["space.width=[16, 160]"]), state, said.append)
    assert edited.dataset.longest_side == 224
    check_same_experiment(edited, state)
    assert said == []
    asked = as_begun(load("mine.yaml", ["dataset.longest_side=160"]), state, said.append)
    with pytest.raises(ExperimentError, match=r"dataset\.longest_side was 224, not 160"):
        check_same_experiment(asked, state)


@pytest.mark.parametrize(
    ("space", "shape", "kept"),
    [
        ("{depth: 2}", (96, 96, 3), "none"),
        ("{depth: 2}", (32, 32, 3), None),
        ("{depth: 2, stem: [stride2, auto]}", (96, 96, 3), ["stride2", "auto"]),
        ("{family: [rnn, resnet, cnn]}", (96, 96, 3), {"family": ["cnn", "resnet"]}),
        ("{family: rnn}", (96, 96, 3), None),
    ],
)
def test_new_trials_of_a_study_from_before_there_were_stems_are_like_its_first(
    space: str, shape: tuple[int, int, int], kept: Any
) -> None:
    Path("mine.yaml").write_text(f"name: mine\nspace: {space}\n")
    whole = complete({"family": "rnn"} if "family: rnn" in space else {})
    state = begun([], shape, {name: value for name, value in whole.items() if name != "stem"})
    said: list[str] = []
    experiment = as_begun(load("mine.yaml"), state, said.append)
    entry = experiment.config.space.get("stem")
    if kept == "none" or isinstance(kept, dict):
        assert entry["value"] == "none"
        assert entry.get("when") == (None if kept == "none" else kept)
        assert said == ["stem: none (as the study began)"]
    else:
        assert entry == kept
        assert said == []


def arrays(file: str, images: np.ndarray, labels: np.ndarray | None = None, **others: np.ndarray) -> Any:
    """An experiment on arrays."""
    np.savez(file, x_train=images, y_train=np.arange(len(images)) % 2 if labels is None else labels, **others)
    return load("quickstart", [f"dataset.source={file}"])


def test_images_that_show_nothing_are_refused_unless_the_study_has_begun() -> None:
    dark = np.random.default_rng(0).integers(0, 3, (60, 8, 8), np.uint8)
    experiment = arrays("dark.npz", dark)
    with pytest.raises(DataError, match="there is nothing to learn"):
        prepared(experiment)


def test_images_of_one_colour_each_may_be_what_is_to_be_learnt() -> None:
    colours = np.repeat(np.arange(60, dtype=np.uint8) * 4, 64).reshape(60, 8, 8)
    notes = prepared(arrays("colours.npz", colours))[1]
    assert any("60 images of one colour" in note or "of one colour (among" in note for note in notes)


def test_what_is_wrong_is_said_in_short_with_the_command_that_shows_it() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    images[1] = images[0]
    images[7] = 9
    test = np.random.default_rng(1).integers(0, 256, (20, 8, 8), np.uint8)
    assert prepared(arrays("fine.npz", images[10:]))[1] == []
    found = prepared(arrays("faulty.npz", images, x_test=test, y_test=np.arange(20) % 2))[1]
    assert "The data has 1 picture under different labels and 1 image of one colour" in found[-1]
    assert found[-1].endswith("To see which: harness audit faulty.npz")
    test[3] = images[5]
    (said,) = [
        note
        for note in prepared(arrays("leak.npz", images, x_test=test, y_test=np.arange(20) % 2))[1]
        if note.startswith("The data has")
    ]
    assert said.startswith("The data has 1 picture in two splits, 1 picture under different labels and ")
