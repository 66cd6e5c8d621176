"""Prepared data belongs to a source by content, is found again at once, and never shows another's words."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset


def prepared(source: str | Path, *, recheck: bool = False, **changes: Any) -> Dataset:
    config = DatasetConfig(source=str(source), test_fraction=0.0, validation_fraction=0.0, **changes)
    return prepare(config, seed=0, progress=lambda *_: None, recheck=recheck)


def grey_bmp(path: Path, shade: int) -> None:
    """Files of different pixels have the same size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 5), shade).save(path, "bmp")


@pytest.fixture
def shades() -> Path:
    for label, name in enumerate(("dark", "light")):
        for index in range(4):
            grey_bmp(Path("shades", name, f"{index}.bmp"), 100 * label + index)
    return Path("shades")


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of sources that were decoded since."""
    import harness.data.caching as module

    done: list[str] = []
    real = module.decode_files

    def noted(source: Any, *others: Any) -> Any:
        done.append(source.name)
        return real(source, *others)

    monkeypatch.setattr(module, "decode_files", noted)
    return done


def first_pixel(found: Dataset) -> int:
    return int(load(found).train()[0][0, 0, 0, 0])


def test_two_lists_of_the_same_images_keep_their_names_and_sentences(
    shades: Path, decoding: list[str]
) -> None:
    every = sorted(str(path) for path in shades.rglob("*.bmp"))
    Path("first.csv").write_text("path,label\n" + "\n".join(f"{path},{path[7]}" for path in every))
    Path("second.csv").write_text("path,label,note\n" + "\n".join(f"{path},{path[7]},x" for path in every))
    first, second = prepared("first.csv"), prepared("second.csv")
    assert (first.name, second.name) == ("first", "second")
    assert first.digest == second.digest
    assert first.warnings == ()
    assert "not used: note" in second.warnings[0]
    assert prepared("first.csv") == first
    assert prepared("second.csv") == second
    assert decoding == ["first"]


def test_copies_of_a_folder_keep_their_names(shades: Path) -> None:
    shutil.copytree(shades, "other")
    first, second = prepared(shades), prepared("other")
    assert (first.name, second.name) == ("shades", "other")
    assert first.folder == second.folder


def test_skipped_files_are_named_where_they_lie(shades: Path) -> None:
    (shades / "dark" / "broken.bmp").write_bytes(b"no image")
    shutil.copytree(shades, "elsewhere/shades")
    for source in (shades, Path("elsewhere/shades")):
        (warning,) = prepared(source, max_unreadable=0.2).warnings
        assert warning.startswith(f"{source.resolve()}/dark/broken.bmp was skipped")


def test_an_archive_under_another_name_is_called_by_it(shades: Path) -> None:
    for name in ("one", "two"):
        shutil.make_archive(name, "zip", shades)
        assert prepared(f"{name}.zip").name == name


def test_arrays_of_the_same_content_say_their_own_range() -> None:
    x = np.arange(12 * 30, dtype=np.uint8).reshape(12, 5, 6)
    np.savez("bytes.npz", x=x, y=np.arange(12) % 2)
    np.savez("shares.npz", x=x / 255, y=np.arange(12) % 2)
    first, second = prepared("bytes.npz"), prepared("shares.npz")
    assert first.digest == second.digest
    assert (first.pixel_range, second.pixel_range) == (None, (0.0, 1.0))
    assert prepared("bytes.npz") == first


def test_a_file_rewritten_with_its_size_and_time_is_noticed(shades: Path, decoding: list[str]) -> None:
    before = prepared(shades)
    file = shades / "dark" / "0.bmp"
    times = file.stat().st_mtime_ns
    grey_bmp(file, 77)
    os.utime(file, ns=(times, times))
    after = prepared(shades)
    assert (first_pixel(before), first_pixel(after)) == (0, 77)
    assert before.digest != after.digest
    assert len(decoding) == 2


def test_a_file_replaced_by_one_of_its_size_and_time_is_noticed(shades: Path) -> None:
    """As `cp -p` to another name and a rename leave it."""
    prepared(shades)
    file = shades / "dark" / "0.bmp"
    grey_bmp(Path("new.bmp"), 78)
    shutil.copystat(file, "new.bmp")
    Path("new.bmp").replace(file)
    assert first_pixel(prepared(shades)) == 78


def test_touched_files_are_read_but_not_decoded_again(shades: Path, decoding: list[str]) -> None:
    before = prepared(shades)
    for file in shades.rglob("*.bmp"):
        file.touch()
        file.chmod(0o600)
    assert prepared(shades) == before
    assert decoding == ["shades"]


@pytest.mark.parametrize("changed", [False, True])
def test_a_recheck_reads_every_file(
    shades: Path, decoding: list[str], monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    """Also where a file system tells neither times nor inodes truly."""
    import harness.data.labelled as module

    real = module.ImageFile
    monkeypatch.setattr(
        module, "ImageFile", lambda **fields: real(**fields | {"modified": 0, "changed": 0, "inode": 0})
    )
    before = prepared(shades)
    if changed:
        grey_bmp(shades / "dark" / "0.bmp", 79)
    assert prepared(shades) == before  # that is what --recheck is for
    after = prepared(shades, recheck=True)
    assert first_pixel(after) == (79 if changed else 0)
    assert decoding == ["shades", "shades"] if changed else ["shades"]


def test_a_recheck_of_other_sources_changes_nothing() -> None:
    assert prepared("digits", recheck=True) == prepared("digits")


def test_how_the_source_is_taken_is_told_before_anything_is_decoded() -> None:
    for number in range(4):
        grey_bmp(Path("flat", f"a_b_{number}.bmp"), number)
        grey_bmp(Path("flat", f"c_{number}.bmp"), 100 + number)
    order: list[str] = []
    found = prepare(
        DatasetConfig(source="flat", layout="prefix"),
        seed=0,
        progress=lambda label, *_: order.append(label),
        tell=order.append,
    )
    assert order[0].startswith(
        "2 classes by the beginnings of names: a_b (4: a_b_0.bmp, a_b_1.bmp, …), c (4: "
    )
    assert order[0] in found.warnings
    assert order[1] == "decoding images"


def test_larger_pictures_are_other_data_and_the_usual_ones_are_found_again(decoding: list[str]) -> None:
    for label in ("a", "b"):
        for index in range(4):
            path = Path("photos", label, f"{index}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (300, 150), (index, 90 * (label == "b"), 0)).save(path)
    usual, larger = prepared("photos"), prepared("photos", longest_side=224)
    assert (usual.image_shape, larger.image_shape) == ((48, 96, 3), (112, 224, 3))
    assert usual.digest != larger.digest
    assert len(decoding) == 2
    assert prepared("photos", longest_side=96) == usual
    assert prepared("photos", longest_side=224) == larger
    assert prepared("photos", image_size=32).image_shape == (32, 32, 3)
    assert len(decoding) == 3
    assert prepared("photos", image_size=32, longest_side=224) == prepared("photos", image_size=32)
    assert len(decoding) == 3, "an explicit size is all that decides"
    assert prepared("photos", longest_side=1024).image_shape == (150, 300, 3), "nothing is enlarged"


def test_pictures_that_are_small_anyway_are_the_same_data(shades: Path) -> None:
    assert prepared(shades).digest == prepared(shades, longest_side=224).digest
    assert prepared(shades).folder == prepared(shades, longest_side=224).folder


def test_arrays_are_not_made_smaller_and_say_so() -> None:
    x = np.arange(12 * 40 * 100).reshape(12, 40, 100).astype(np.uint8)
    np.savez("large.npz", x=x, y=np.arange(12) % 2)
    assert prepared("large.npz").warnings == ()
    found = prepared("large.npz", longest_side=64)
    assert found.image_shape == (40, 100, 1)
    assert "arrays are taken as they are, with 40×100 pixels" in found.warnings[-1]
    assert prepared("large.npz", longest_side=224).warnings == ()
    assert prepared("large.npz", longest_side=64, image_size=20).warnings == ()
