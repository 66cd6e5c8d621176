"""Splits do not overlap, and what a class lacks is said with its real reason."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.data.sealed import open_sealed
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset
from tests.data.images_by_hand import tiff


def prepared(source: str, **changes: Any) -> Dataset:
    return prepare(DatasetConfig(source=source, **changes), seed=0, progress=lambda *_: None)


def images(found: Dataset) -> list[set[bytes]]:
    arrays = load(found)
    parts = (arrays.train(), arrays.validation(), open_sealed(found))
    return [{image.tobytes() for image in part[0][:]} for part in parts]


def test_no_image_is_in_two_of_the_given_splits(draw: Any) -> None:
    """Numbers 0 to 7 train, 6 to 9 validate, 8 to 11 test, and 7 is in all three."""
    for name, first in (("a", 0), ("b", 100)):
        for split, numbers in (("train", range(8)), ("val", range(6, 10)), ("test", [7, *range(8, 12)])):
            for number in numbers:
                draw(f"data/{split}/{name}/{number}.png", seed=first + number)
    found = prepared("data")
    assert found.warnings == (
        "6 validation images that are also test images were left out of validation.",
        "2 training images that are also test images were left out of training.",
        "2 training images that are also validation images were left out of training.",
    )
    assert found.counts == {"train": 12, "validation": 2, "test": 10}
    train, validation, test = images(found)
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_a_study_from_before_cannot_go_on_with_another_validation(draw: Any) -> None:
    for name, first in (("a", 0), ("b", 100)):
        for split, numbers in (("train", range(4)), ("val", range(4, 8)), ("test", range(8, 12))):
            for number in numbers:
                draw(f"data/{split}/{name}/{number}.png", seed=first + number)
    apart = prepared("data")
    for name in ("a", "b"):
        shutil.copy(f"data/val/{name}/4.png", f"data/test/{name}/4.png")
    assert prepared("data").digest != apart.digest
    assert Path(prepared("data").folder, prepared("data").split).exists()


def test_a_validation_that_is_the_test_is_refused(draw: Any) -> None:
    for name, first in (("a", 0), ("b", 100)):
        for split, number in (("train", 1), ("train", 2), ("val", 3), ("test", 3)):
            draw(f"data/{split}/{name}/{number}.png", seed=first + number)
    with pytest.raises(DataError, match="All validation images are test images as well"):
        prepared("data")


def test_a_class_whose_images_are_another_ones_too_is_told_of(draw: Any) -> None:
    for number in range(6):
        draw(f"data/a/{number}.png", seed=number)
        draw(f"data/b/{number}.png", seed=50 + number)
    shutil.copytree("data/a", "data/c")
    with pytest.raises(DataError, match="6 of the 6 images of the class 'c' are also in 'a'"):
        prepared("data")


def test_a_class_of_one_picture_many_times_is_told_of(draw: Any) -> None:
    for number in range(6):
        draw(f"data/a/{number}.png", seed=number)
        draw(f"data/b/{number}.png", seed=50)
    with pytest.raises(DataError, match="The 6 images of the class 'b' are all the same picture"):
        prepared("data")


@pytest.mark.parametrize("split", [True, False])
def test_a_class_that_cannot_be_read_is_told_of_with_the_reason(draw: Any, split: bool) -> None:
    for top in ("train", "val", "test") if split else ("",):
        for name in ("a", "b"):
            for number in range(40):
                draw(f"data/{top}/{name}/{number}.png", seed=len(top) + 1000 * (name == "b") + 100 * number)
    for number in range(3):
        file = Path("data", "train" if split else "", "c", f"{number}.jpg")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100 + number))
    with pytest.raises(DataError, match=r"The class 'c' has no image left: none of its 3 .*it is HEIC"):
        prepared("data")


def test_a_split_that_cannot_be_read_is_told_of(draw: Any) -> None:
    for name, first in (("a", 0), ("b", 100)):
        for number in range(20):
            draw(f"data/train/{name}/{number}.png", seed=first + number)
    Path("data/val/a").mkdir(parents=True)
    Path("data/val/a/1.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"Of the validation images \(1\) none can be read\. .*val/a/1\.png"):
        prepared("data")


def test_all_training_images_of_a_class_in_the_test_leave_none(draw: Any) -> None:
    for name, first in (("a", 0), ("b", 100)):
        for number in range(4):
            draw(f"data/train/{name}/{number}.png", seed=first + number)
            draw(f"data/val/{name}/{number}.png", seed=first + 50 + number)
            draw(f"data/test/{name}/{number}.png", seed=first + number + (20 if name == "a" else 0))
    with pytest.raises(DataError, match="No image is left to train the class 'b' on"):
        prepared("data")


def test_classes_without_validation_images_are_named(draw: Any) -> None:
    for number, name in enumerate("abcde"):
        for index in range(4):
            draw(f"data/train/{name}/{index}.png", seed=10 * number + index)
        if name in "ab":
            draw(f"data/val/{name}/9.png", seed=500 + number)
    found = prepared("data")
    assert found.warnings == (
        "3 of 5 classes have no validation images (c, d, e): nothing is known of them there, and macro "
        "averages leave them out.",
    )


def test_many_unreadable_files_make_few_sentences(draw: Any) -> None:
    for name, first in (("a", 0), ("b", 100)):
        for number in range(30):
            draw(f"data/{name}/{number}.png", seed=first + number)
    for number in range(40):
        Path("data/a", f"x{number}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(number))
    found = prepared("data", max_unreadable=0.5)
    assert len(found.warnings) == 6
    assert found.warnings[-1].startswith("35 more images were skipped: it is none of")
    assert "it is HEIC" in found.warnings[-1]
    with pytest.raises(
        DataError, match=r"40 of 100 images cannot be read, more than the allowed share of 5%"
    ):
        prepared("data")


def test_a_reason_that_many_files_share_is_told_once() -> None:
    for name in ("a", "b"):
        for number in range(20):
            file = Path("data", name, f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(tiff(np.full((4, 5, 1), number - 9, np.int32)))
    with pytest.raises(
        DataError, match=r"data/a/0\.png and 39 others: .*from -9 to 10.*dataset\.range"
    ) as caught:
        prepared("data")
    assert len(str(caught.value).splitlines()) == 2


def test_dark_images_are_told_of() -> None:
    from PIL import Image

    for name in ("a", "b"):
        for number in range(4):
            file = Path("data", name, f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number + 9 * (name == "b")).integers(0, 2, (5, 6)).astype(np.uint8)
            Image.fromarray(pixels).save(file)
    assert "The brightest pixel of all images is 1 of 255" in prepared("data").warnings[0]


def test_names_that_are_no_text_can_be_told_of(pets: Path) -> None:
    Path(os.fsdecode(b"pets/caf\xe9.png")).write_bytes(b"not used")
    (warning,) = prepared("pets").warnings
    assert warning.endswith("beside the class folders: caf\\udce9.png.")
    warning.encode()


def test_settings_that_mean_nothing_for_a_source_are_named(pets: Path) -> None:
    given = {"layout": "prefix", "range": [0, 9], "ignore": ["x"]}
    assert prepared("digits", **given).warnings == (
        "Not used: dataset.layout, dataset.ignore, dataset.range, which means nothing for digits.",
    )
