"""Images dealt out to folds: each is held out once, identical ones together, classes in their shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.arrays import load
from harness.data.folds import deal_out, dealt_out, too_rare
from harness.data.prepare import prepare
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Any, Any, list[str]]:
    """Labels and hashes of images, of which some are identical, always in one class; at least two a class."""
    classes = draw(st.integers(1, 4))
    different = [draw(st.integers(2, 30)) for _ in range(classes)]
    labels = np.repeat(np.arange(classes, dtype=np.int32), different)
    copies = np.array([draw(st.sampled_from([1, 1, 1, 2, 4])) for _ in labels])
    hashes = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels)).astype(np.uint64)
    order = np.random.default_rng(1).permutation(copies.sum())
    return (
        np.repeat(labels, copies)[order],
        np.repeat(hashes, copies)[order],
        [str(label) for label in range(classes)],
    )


@settings(deadline=None)
@given(labelled(), st.integers(2, 8), st.integers(0, 2**31 - 1))
def test_parts_are_even_stratified_and_keep_identical_images_together(
    images: tuple[Any, Any, list[str]], parts: int, seed: int
) -> None:
    labels, hashes, classes = images
    different, largest = len(np.unique(hashes)), int(np.unique(hashes, return_counts=True)[1].max())
    if different < parts:
        with pytest.raises(DataError, match=f"{different} different images, or groups of them, to be dealt"):
            deal_out(labels, hashes, parts, seed, classes=classes)
        return
    dealt = deal_out(labels, hashes, parts, seed, classes=classes)
    assert set(dealt) == set(range(parts))
    for one in np.unique(hashes):
        assert len(set(dealt[hashes == one])) == 1
    for label in range(len(classes)):
        counts = np.bincount(dealt[labels == label], minlength=parts)
        assert counts.max() - counts.min() <= largest
        assert all(np.any(dealt[labels == label] != part) for part in range(parts)), "each trains on it"
    if largest == 1:
        sizes = np.bincount(dealt, minlength=parts)
        assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(dealt, deal_out(labels, hashes, parts, seed, classes=classes))
    rare = too_rare(labels, hashes, parts, classes=classes)
    fewest = min(len(np.unique(hashes[labels == label])) for label in range(len(classes)))
    assert (rare is not None) == (fewest < parts)


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(2, 12), st.integers(0, 999))
def test_groups_of_several_classes_stay_in_one_part(parts: int, groups: int, seed: int) -> None:
    """Each group has images of two classes of three, and every fold trains on all classes."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(max(groups, parts), dtype=np.uint64), 4)
    labels = np.concatenate(
        [np.repeat([one % 3, (one + 1) % 3], 2) for one in range(max(groups, parts))]
    ).astype(np.int32)
    order = rng.permutation(len(units))
    units, labels = units[order], labels[order]
    if min(len(np.unique(units[labels == label])) for label in range(3)) < 2:
        with pytest.raises(DataError, match="too few different images, or groups of them"):
            deal_out(labels, units, parts, seed, classes=["a", "b", "c"])
        return
    try:
        dealt = deal_out(labels, units, parts, seed, classes=["a", "b", "c"])
    except DataError as error:
        assert "cannot be dealt out" in str(error)
        return
    for one in np.unique(units):
        assert len(set(dealt[units == one])) == 1
    for label in range(3):
        assert len(set(dealt[labels == label])) >= 2


def test_repeats_are_dealt_out_anew() -> None:
    labels, hashes = np.zeros(40, np.int32), np.arange(40, dtype=np.uint64)
    once, again = dealt_out(labels, hashes, 4, 2, 7, classes=["a"])
    assert not np.array_equal(once, again)
    np.testing.assert_array_equal(once, deal_out(labels, hashes, 4, 7, classes=["a"]))


def digits(**changes: Any) -> Dataset:
    config = DatasetConfig.model_validate({"source": "digits", "limit_train": 200} | changes)
    return prepare(config, seed=3, progress=lambda *_: None)


def test_prepared_folds_hold_every_image_out_once_and_no_test_image_ever() -> None:
    dataset, split = digits(folds=5, repeats=2), digits()
    assert (dataset.folds, dataset.repeats, dataset.counts["validation"]) == (5, 2, 0)
    assert dataset.split != split.split
    assert dataset.counts["test"] == split.counts["test"]
    arrays, number = load(dataset), dataset.counts["train"]
    for repeat in range(2):
        held = np.stack([arrays.held_out(5 * repeat + part) for part in range(5)])
        np.testing.assert_array_equal(held.sum(axis=0), np.ones(number))
        assert held.sum(axis=1).max() - held.sum(axis=1).min() <= 1
    assert not np.array_equal(arrays.held_out(0), arrays.held_out(5))


def test_a_validation_split_of_the_source_is_not_lost_in_silence(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"x_{name}": rng.integers(0, 256, (20, 8, 8), dtype=np.uint8) for name in ("train", "val")}
    labels = {f"y_{name}": np.arange(20) % 2 for name in ("train", "val")}
    np.savez(tmp_path / "own.npz", **arrays, **labels)
    config = DatasetConfig(source=str(tmp_path / "own.npz"), folds=4)
    with pytest.raises(DataError, match=r"brings 20 validation images of its own, and dataset\.folds is 4"):
        prepare(config, seed=0, progress=lambda *_: None)


def test_a_class_of_one_picture_cannot_be_dealt_out() -> None:
    labels, hashes = np.array([0, 0, 0, 1, 1], np.int32), np.array([1, 2, 3, 9, 9], np.uint64)
    with pytest.raises(DataError, match="'b' has too few different images, or groups of them"):
        deal_out(labels, hashes, 2, 0, classes=["a", "b"])
