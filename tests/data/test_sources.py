"""Every kind of data set keeps the same promises: one suite, run on each."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import sources
from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.data.preview import preview
from harness.data.source import ArraySource, ImageArrays
from harness.data.sources import SOURCES, is_there, kind_of_source
from harness.data.sources.kind import SourceKind, Unpack
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset

IMAGES = 6
"""Of each class."""


def pixels(label: int, number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng([label, number]).integers(0, 256, (5, 4, 3)).astype(np.uint8)


def draw_folder(name: str) -> str:
    for label, cls in enumerate(("cat", "dog")):
        Path(name, cls).mkdir(parents=True)
        for number in range(IMAGES):
            Image.fromarray(pixels(label, number)).save(Path(name, cls, f"{number}.png"))
    return name


def draw_archive(name: str) -> str:
    folder = Path(draw_folder(name))
    with zipfile.ZipFile(f"{name}.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file)
    return f"{name}.zip"


def draw_list(name: str) -> str:
    files = sorted(Path(draw_folder(name)).rglob("*.png"))
    rows = [f"{file},{file.parent.name}" for file in files]
    Path(f"{name}.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return f"{name}.csv"


def draw_arrays(name: str) -> str:
    images = np.stack([pixels(label, number) for label in (0, 1) for number in range(IMAGES)])
    np.savez(f"{name}.npz", x_train=images, y_train=np.repeat(["cat", "dog"], IMAGES))
    return f"{name}.npz"


def read_memory() -> ImageArrays:
    images = np.stack([pixels(label, number) for label in (0, 1) for number in range(IMAGES)])
    return ImageArrays(
        "memory", ("cat", "dog"), {"train": (images, np.repeat([0, 1], IMAGES).astype(np.int32))}
    )


def find_memory(config: DatasetConfig, _: Unpack) -> ArraySource:
    return ArraySource("memory", f"{config.source} {config.image_size} {config.color}", read_memory)


MEMORY = SourceKind(
    given="what is in memory",
    about="Images that a test has made.",
    claims=lambda source: source.startswith("memory:"),
    find=find_memory,
    unused=("layout", "splits", "columns", "ignore", "range", "max_pixels"),
)
"""A kind that is not registered: one file and one line would make it one."""

EXAMPLES: dict[str, Callable[[str], str]] = {
    "built-in": lambda _: "digits",
    "arrays": draw_arrays,
    "archive": draw_archive,
    "list": draw_list,
    "folder": draw_folder,
    "memory": lambda name: f"memory:{name}",
}
"""By kind, what makes an example and returns what `dataset.source` says of it."""


@pytest.fixture(params=EXAMPLES)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(SOURCES, "memory", MEMORY)
    return str(request.param)


@pytest.fixture
def example(kind: str) -> str:
    return EXAMPLES[kind]("pets")


def prepared(source: str, **changes: object) -> Dataset:
    config = DatasetConfig.model_validate(
        {"source": source, "test_fraction": 0.0, "validation_fraction": 0.0} | changes
    )
    return prepare(config, seed=0, progress=lambda *_: None)


def test_every_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == {*SOURCES, "memory"}


def test_a_kind_claims_its_own_and_nothing_that_is_not_there(kind: str, example: str) -> None:
    assert kind_of_source(example) is SOURCES[kind]
    assert is_there(example)
    for missing in ("nowhere", "nowhere.zip", "nowhere.npz", "nowhere.csv", "a" * 5000, "with\0nul"):
        assert not SOURCES[kind].claims(missing)


def test_a_kind_is_described(kind: str) -> None:
    assert SOURCES[kind].about.endswith(".")
    assert not SOURCES[kind].given.endswith(".")


def test_what_is_found_is_prepared_once(kind: str, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(example)
    images, labels = load(first).train()
    if kind != "built-in":
        assert (first.name, first.classes) in {("pets", ("cat", "dog")), ("memory", ("cat", "dog"))}
        expected = {pixels(label, number).tobytes(): label for label in (0, 1) for number in range(IMAGES)}
        found = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
        assert found == expected
    monkeypatch.setattr("harness.data.caching.decode_files", None)
    monkeypatch.setattr("harness.data.caching.write_arrays", None)
    assert prepared(example) == first


def test_size_and_colour_are_as_asked(example: str) -> None:
    found = prepared(example, image_size=7, color="grey")
    assert found.image_shape == (7, 7, 1)
    assert load(found).train()[0].shape[1:] == (7, 7, 1)
    assert found.digest != prepared(example).digest


def test_settings_that_mean_nothing_are_named(kind: str, example: str) -> None:
    given: dict[str, object] = {
        "layout": "prefix", "columns": {"label": "label"}, "ignore": ["nothing"], "splits": {},
        "range": [0, 100], "max_pixels": 60_000_000, "groups": "^[a-z]+", "frames": 3,
    }  # fmt: skip
    for key in SOURCES[kind].unused:
        said = "\n".join(prepared(example, **{key: given[key]}).warnings)
        assert f"Not used: dataset.{key}, which means nothing for {example}." in said


def test_a_glance_prepares_nothing(kind: str, example: str, tmp_path: Path) -> None:
    found = preview(DatasetConfig(source=example))
    assert not (tmp_path / "cache").exists()
    assert example in found.found
    assert ("2 classes" in found.found) == SOURCES[kind].at_a_glance


def test_what_is_no_data_set_is_told_every_way_to_give_one(kind: str) -> None:
    Path("notes.txt").write_text("x")
    for source, wrong in (("nowhere", "was not found"), ("notes.txt", "is of no kind that is read")):
        with pytest.raises(DataError, match=f"'{source}' {wrong}") as caught:
            prepared(source)
        assert SOURCES[kind].given in str(caught.value)


def test_a_later_kind_is_asked_only_if_no_earlier_one_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = SourceKind(given="anything", about="Everything.", claims=lambda _: True, find=find_memory)
    monkeypatch.setitem(SOURCES, "everything", everything)
    assert kind_of_source("digits") is sources.built_in.KIND
    assert kind_of_source("whatever") is everything
