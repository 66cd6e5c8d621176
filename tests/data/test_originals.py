"""A few files of every kind are kept with what was made of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.decode import decode
from harness.data.originals import MOST_BYTES, Originals, read_originals
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.paths.prepared import ORIGINALS
from harness.records import Dataset
from tests.data.conftest import Draw


def prepared(source: Path, **changes: Any) -> Dataset:
    return prepare(DatasetConfig(source=str(source), **changes), seed=0, progress=lambda *_: None)


def kept(dataset: Dataset) -> Originals:
    found = read_originals(Path(dataset.folder) / ORIGINALS)
    assert found is not None
    return found


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.fixture
def mixed(draw: Draw) -> Path:
    """Five kinds of files, twelve of each class."""
    for label, name in enumerate(("cat", "dog")):
        for index in range(12):
            seed = 100 * label + index
            file = f"mixed/{name}/{index:02d}"
            if index < 6:
                draw(f"{file}.jpg", seed=seed, size=(40 + index, 30), exif=turned(6))
            elif index < 8:
                draw(f"{file}.png", seed=seed, mode="RGBA")
            elif index < 10:
                draw(f"{file}.gif", seed=seed, mode="L")
            elif index == 10:
                draw(f"{file}.tif", seed=seed)
            else:
                draw(f"{file}.jpg", seed=seed, mode="CMYK", progressive=True)
    return Path("mixed")


def test_every_kind_is_counted_and_two_files_of_each_are_kept(mixed: Path) -> None:
    found = kept(prepared(mixed))
    assert found.counts == {
        "JPEG, turned (EXIF 6)": 12,
        "PNG, transparent": 4,
        "GIF, palette": 4,
        "TIFF": 2,
        "JPEG, CMYK, progressive": 2,
    }
    assert sorted(one.kind for one in found.files) == sorted(2 * list(found.counts))
    for one in found.files:
        assert (mixed / one.name).read_bytes() == one.content
        assert decode(one.content, (8, 8), 3).kind == one.kind
    smallest = min(mixed.glob("*/0[0-5].jpg"), key=lambda file: (file.stat().st_size, str(file)))
    assert smallest.read_bytes() in [one.content for one in found.files]


def test_files_of_the_test_split_are_only_counted(draw: Draw) -> None:
    for label, name in enumerate(("cat", "dog")):
        for index in range(10):
            draw(f"pets/train/{name}/{index}.png", seed=100 * label + index)
            draw(f"pets/test/{name}/{index}.jpg", seed=500 + 100 * label + index)
    found = kept(prepared(Path("pets")))
    assert found.counts == {"PNG": 20, "JPEG": 20}
    assert {one.kind for one in found.files} == {"PNG"}


def test_unreadable_files_are_no_kind(pets: Path) -> None:
    (pets / "cat" / "bad.png").write_bytes(b"no image")
    found = kept(prepared(pets, max_unreadable=0.5))
    assert found.counts == {"PNG": 20}


def test_what_is_kept_is_bounded(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        Path(f"pets/{name}").mkdir(parents=True)
        for index, side in enumerate((1500, 1400, 1300, 1200, 900)):
            pixels = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)  # 2 to 7 MB, beyond compression
            kind = (".png", ".bmp")[index % 2]
            Image.fromarray(pixels).save(f"pets/{name}/{index}{kind}")
    found = kept(prepared(Path("pets"), image_size=8))
    assert {one.kind for one in found.files} == {"PNG", "BMP"}
    assert sum(len(one.content) for one in found.files) <= MOST_BYTES


def test_data_prepared_by_an_earlier_version_gets_them(mixed: Path) -> None:
    first = prepared(mixed)
    expected = kept(first)
    shutil.rmtree(Path(first.folder) / ORIGINALS)
    assert prepared(mixed) == first
    assert kept(first) == expected


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(mixed: Path) -> None:
    first = prepared(mixed)
    shutil.rmtree(Path(first.folder) / ORIGINALS)
    (Path(first.folder) / ORIGINALS).write_text("in the way")  # holds also where everything may be written
    assert prepared(mixed) == first
    assert read_originals(Path(first.folder) / ORIGINALS) is None


def test_damaged_files_are_left_out(mixed: Path) -> None:
    dataset = prepared(mixed)
    before = kept(dataset)
    folder = Path(dataset.folder) / ORIGINALS
    with next(folder.glob("*.tiff")).open("ab") as stream:
        stream.write(b"x")
    assert len(kept(dataset).files) == len(before.files) - 1
    (folder / "index.json").write_text("{")
    assert read_originals(folder) is None


def test_arrays_have_no_files() -> None:
    dataset = prepare(DatasetConfig(), seed=0, progress=lambda *_: None)
    assert read_originals(Path(dataset.folder) / ORIGINALS) is None
    assert os.listdir(dataset.folder)  # noqa: PTH208 - the folder is there
