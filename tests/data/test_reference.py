"""The few images that models are compared with are kept with the study."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.data.reference import keep_reference, read_reference, reference_rows
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset

KEPT = Path("study/reference")


def prepared(source: str, fraction: float = 0.2) -> Dataset:
    config = DatasetConfig(source=source, validation_fraction=fraction)
    return prepare(config, seed=0, progress=lambda *_: None)


@pytest.fixture(autouse=True)
def study() -> None:
    Path("study").mkdir()


@pytest.mark.parametrize(("fraction", "split"), [(0.2, "validation"), (0.0, "train")])
def test_images_are_spread_over_the_split_that_is_validated(fraction: float, split: str) -> None:
    dataset = prepared("digits", fraction)
    keep_reference(KEPT, dataset)
    found = read_reference(KEPT)
    assert found is not None
    assert found.split == split
    assert found.originals is None
    images, _ = load(dataset).validation() if fraction else load(dataset).train()
    assert len(found.images) == len(found.indices) == 64
    assert (found.indices[0], found.indices[-1]) == (0, len(images) - 1)
    np.testing.assert_array_equal(found.images, images[found.indices])


def test_a_few_images_are_all_taken(pets: Path) -> None:
    dataset = prepared(str(pets))
    keep_reference(KEPT, dataset)
    found = read_reference(KEPT)
    assert found is not None
    assert found.indices.tolist() == list(range(dataset.counts["validation"]))
    assert found.originals is not None
    assert found.originals.counts == {"PNG": 20}
    assert reference_rows(1).tolist() == [0]


def test_it_outlives_the_data_and_is_written_once(pets: Path) -> None:
    dataset = prepared(str(pets))
    keep_reference(KEPT, dataset)
    before = read_reference(KEPT)
    written = (KEPT / "images.npz").stat().st_mtime_ns
    shutil.rmtree(dataset.folder)
    keep_reference(KEPT, dataset)
    after = read_reference(KEPT)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.images, after.images)
    assert (KEPT / "images.npz").stat().st_mtime_ns == written
    assert [entry.name for entry in KEPT.parent.iterdir()] == ["reference"]


def test_damage_is_noticed_and_mended(pets: Path) -> None:
    dataset = prepared(str(pets))
    for file, content in (("images.npz", b"x"), ("index.json", b"{"), ("index.json", b"[]")):
        keep_reference(KEPT, dataset)
        (KEPT / file).write_bytes(content)
        assert read_reference(KEPT) is None
    keep_reference(KEPT, dataset)
    assert read_reference(KEPT) is not None
    shutil.rmtree(KEPT)
    shutil.rmtree(dataset.folder)
    with pytest.raises(DataError, match="is missing or damaged"):
        keep_reference(KEPT, dataset)
    assert list(Path("study").iterdir()) == []


def test_another_data_set_replaces_it(pets: Path) -> None:
    keep_reference(KEPT, prepared("digits"))
    keep_reference(KEPT, prepared(str(pets)))
    found = read_reference(KEPT)
    assert found is not None
    assert found.images.shape[1:] == (10, 12, 3)
