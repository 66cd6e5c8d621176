"""Arrays from outside: accepted as they commonly come, refused with a reason otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.arrays import load
from harness.data.npz_keys import choose_keys
from harness.data.prepare import prepare
from harness.data.sealed import open_sealed
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset

X = np.random.default_rng(0).integers(0, 256, (40, 9, 7)).astype(np.uint8)
Y = np.arange(40) % 4


def prepared(**arrays: Any) -> Dataset:
    np.savez("data.npz", **arrays)
    return prepare(DatasetConfig(source="data.npz"), seed=0, progress=lambda *_: None)


def test_one_pair_is_split() -> None:
    found = prepared(x=X, y=Y)
    assert found.image_shape == (9, 7, 1)
    assert found.classes == ("0", "1", "2", "3")
    assert sum(found.counts.values()) == 40


def test_pairs_for_each_split_are_kept() -> None:
    found = prepared(
        x_train=X[:20], y_train=Y[:20], x_val=X[20:28], y_val=Y[20:28], x_test=X[28:], y_test=Y[28:]
    )
    assert found.counts == {"train": 20, "validation": 8, "test": 12}
    np.testing.assert_array_equal(open_sealed(found)[0][:][..., 0], X[28:])


def test_floats_from_0_to_1_are_shares_of_255() -> None:
    found = prepared(x=X / 255, y=Y)
    np.testing.assert_array_equal(np.sort(load(found).train()[0].ravel())[:3], [0, 0, 0])
    assert "rounded to 8 bits" in found.warnings[0]
    whole = prepared(x=X.astype(np.float32), y=Y)
    assert whole.class_counts == found.class_counts


def test_labels_may_be_words_or_have_names() -> None:
    assert prepared(x=X, y=np.array(["b", "a"] * 20)).classes == ("a", "b")
    assert prepared(x=X, y=Y, classes=np.array(list("wxyz"))).classes == ("w", "x", "y", "z")
    assert prepared(x=X, y=Y[:, None]).classes == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "no x_train and y_train"),
        ({"x": X, "y": Y[:-1]}, "40 images but 39 labels"),
        ({"x": X[:, :, :, None, None], "y": Y}, "it must be"),
        ({"x": np.repeat(X[..., None], 4, 3), "y": Y}, "1 or 3 channels"),
        ({"x": X.astype(np.int64) - 300, "y": Y}, "pixels must lie"),
        ({"x": np.full((4, 3, 3), np.nan), "y": Y[:4]}, "pixels must lie"),
        ({"x": X, "y": Y + 0.5}, "must be one whole number or one word"),
        ({"x": X, "y": Y, "classes": np.array(["only"])}, "class names do not fit"),
        ({"x_train": X, "y_train": Y % 2, "x_test": X, "y_test": Y}, "has no training image"),
        ({"x": X, "y": np.array([{}] * 40, dtype=object)}, "holds Python objects"),
        ({"x": X[:3], "y": np.zeros(3, int)}, "only the class '0'"),
    ],
)
def test_unfit_arrays_are_refused_with_a_reason(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(**arrays)


@pytest.mark.parametrize("cut", [0, 10, 100, 2000])
def test_damaged_files_are_a_sentence(cut: int) -> None:
    np.savez("whole.npz", x=X, y=Y)
    Path("data.npz").write_bytes(Path("whole.npz").read_bytes()[:cut])
    with pytest.raises(DataError, match=r"damaged or not an \.npz"):
        prepare(DatasetConfig(source="data.npz"), seed=0, progress=lambda *_: None)


def test_a_single_array_is_not_an_archive() -> None:
    np.save("data.npy", X)
    Path("data.npy").rename("data.npz")
    with pytest.raises(DataError, match=r"damaged or not an \.npz"):
        prepare(DatasetConfig(source="data.npz"), seed=0, progress=lambda *_: None)


KEYS = [
    "x", "y", "X_train", "ytrain", "x_valid", "y_valid", "testX", "testY", "train_images", "train_labels",
    "data", "classes",
]  # fmt: skip
ANY_KEY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(KEYS)


@given(st.lists(ANY_KEY, max_size=8, unique=True))
def test_any_names_of_arrays_are_pairs_or_a_sentence(keys: list[str]) -> None:
    try:
        found = choose_keys(Path("data.npz"), keys)
    except DataError as error:
        assert str(error).startswith("data.npz")
        return
    used = [key for pair in found.pairs.values() for key in pair] + [found.names or ""]
    assert "train" in found.pairs
    assert len(set(used)) == len(used)
    assert set(keys) == {key for key in used if key} | set(found.unused)


def test_names_of_arrays_in_one_word_are_understood() -> None:
    found = choose_keys(Path("data.npz"), ["trainX", "trainY", "xtest", "ytest", "valid_data", "validLabels"])
    assert found.pairs == {
        "train": ("trainX", "trainY"), "test": ("xtest", "ytest"), "validation": ("valid_data", "validLabels")
    }  # fmt: skip


def test_one_range_holds_for_all_splits() -> None:
    """The validation images alone would be taken for 0 and 1 of 255."""
    dark = (X[:10] // 200).astype(np.uint8)
    found = prepared(x_train=X, y_train=Y, x_val=dark, y_val=Y[:10])
    np.testing.assert_array_equal(load(found).validation()[0][..., 0], dark)
    assert found.pixel_range is None


def test_a_rounding_error_above_one_is_one() -> None:
    shares = (X / 255).astype(np.float32)
    above = np.where(shares == 1, np.nextafter(np.float32(1), np.float32(2)), shares)
    for x_train, x_val in ((shares, above), (above, shares), (above, above)):
        found = prepared(x_train=x_train[:20], y_train=Y[:20], x_val=x_val[20:], y_val=Y[20:])
        np.testing.assert_array_equal(load(found).validation()[0][..., 0], X[20:])


def test_numbers_as_text_are_those_numbers() -> None:
    y = np.array([0, 2, 10, 11] * 10)
    found = prepared(x_train=X[:20], y_train=y[:20], x_val=X[20:], y_val=y[20:].astype(str))
    assert found.classes == ("0", "2", "10", "11")
    np.testing.assert_array_equal(load(found).validation()[1], Y[20:])
    other = np.char.add("0", y.astype(str))
    with pytest.raises(
        DataError, match=r"of different kinds: whole numbers for train .*words for validation"
    ):
        prepared(x_train=X[:20], y_train=y[:20], x_val=X[20:], y_val=other[20:])
