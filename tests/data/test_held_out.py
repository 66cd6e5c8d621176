"""The validation images of a split are found by its digests, and what two splits share by the pixels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.data.arrays import load
from harness.data.held_out import HeldOut, held_out_images, held_out_of_both
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset


def digits(cache: Path, seed: int = 0, **config: object) -> Dataset:
    return prepare(DatasetConfig(**config), seed=seed, progress=lambda *_: None, cache=cache)


def found(cache: Path, dataset: Dataset) -> HeldOut:
    images = held_out_images(cache, dataset.split_digests)
    assert images is not None
    return images


def test_a_split_is_found_by_its_digests_alone(tmp_path: Path) -> None:
    datasets = [digits(tmp_path, seed) for seed in range(3)]
    for dataset in datasets:
        images, labels = load(dataset).validation()
        held_out = found(tmp_path, dataset)
        np.testing.assert_array_equal(held_out.images[:], images)
        np.testing.assert_array_equal(held_out.labels, labels)
    # Wherever it lies, and with other data beside it that is damaged.
    shutil.copytree(tmp_path / "datasets", tmp_path / "moved" / "datasets")
    broken = next((tmp_path / "moved" / "datasets").glob("*/training-*.npz"))
    broken.with_name("training-000000000000.npz").write_bytes(b"nothing")
    assert len(found(tmp_path / "moved", datasets[2]).labels) == datasets[2].counts["validation"]
    assert held_out_images(tmp_path, {}) is None
    assert held_out_images(tmp_path, datasets[0].split_digests | {"train": "0" * 64}) is None
    assert held_out_images(tmp_path / "nowhere", datasets[0].split_digests) is None


def test_images_of_both_are_trained_on_by_neither(tmp_path: Path) -> None:
    one, other = digits(tmp_path, 0), digits(tmp_path, 1)
    images, labels = held_out_of_both(found(tmp_path, one), found(tmp_path, other))
    assert 0 < len(images) < one.counts["validation"]
    pixels = images[:]
    known = {picture.tobytes() for picture in pixels}
    assert len(known) == len(pixels) == len(labels)  # each different image once
    for dataset in (one, other):
        arrays = load(dataset)
        assert not known & {picture.tobytes() for picture in arrays.train()[0]}
        validation, truth = arrays.validation()
        said = {picture.tobytes(): int(label) for picture, label in zip(validation, truth, strict=True)}
        assert [said[picture.tobytes()] for picture in pixels] == labels.tolist()


def test_of_one_split_all_different_images_are_common(tmp_path: Path) -> None:
    held_out = found(tmp_path, digits(tmp_path))
    images, labels = held_out_of_both(held_out, held_out)
    assert len(images) == len(np.unique(held_out.hashes))
    np.testing.assert_array_equal(images.indices, np.sort(images.indices))
    assert len(labels) == len(images)


@pytest.mark.parametrize("config", [{"folds": 5}, {"limit_train": 200, "validation_fraction": 0}])
def test_without_validation_images_there_are_none(tmp_path: Path, config: dict[str, object]) -> None:
    assert len(found(tmp_path, digits(tmp_path, **config)).labels) == 0
