"""Names that speak of a split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.split_names import plain_split, split_name, split_names, value_split, words

PLAIN = {
    "train": ["train", "Train", "TRAINING", "training_set", "TrainingSet", "trainset", "train-data",
              "Train Images", "train2017", "01_train", "images_train", "traindata"],
    "validation": ["val", "valid", "Validation", "VALIDATION_SET", "valset", "dev", "dev_set", "eval",
                   "valid2"],
    "test": ["test", "Testing", "test_set", "TestSet", "test1", "holdout", "hold_out", "Hold-Out",
             "testimages"],
    None: ["unlabelled", "unlabeled", "Un-labelled", "pred", "predictions"],
}  # fmt: skip


@pytest.mark.parametrize(("pool", "name"), [(pool, name) for pool, names in PLAIN.items() for name in names])
def test_plain_names(pool: str | None, name: str) -> None:
    found = plain_split(name)
    assert found is not None
    assert found.pool == pool


@pytest.mark.parametrize("name", ["cat", "trainer", "contest", "testament", "devil", "valley", "evaluated",
                                  "trains", "", "1", "train_test", "train_val", "images"])  # fmt: skip
def test_other_names(name: str) -> None:
    assert plain_split(name) is None


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["seg_train", "seg_test", "seg_pred"], {"seg_train", "seg_test", "seg_pred"}),
        (["asl_alphabet_train", "asl_alphabet_test"], {"asl_alphabet_train", "asl_alphabet_test"}),
        (["steam_train", "bullet_train", "train_station", "test_tube"], set()),
        (["train", "steam_train"], {"train"}),
        (["a_val", "a_test"], set()),
        (["train", "test", "cat"], {"train", "test"}),
    ],
)
def test_names_with_further_words_need_another_of_their_kind(names: list[str], taken: set[str]) -> None:
    assert set(split_names(names)) == taken


def test_the_users_values_hold_before_any_other() -> None:
    named = {"train": ["0", "test"], "test": ["1"]}
    for value, pool in (("0", "train"), ("TEST", "train"), ("1", "test"), ("val", "validation")):
        found = value_split(value, named)
        assert found is not None
        assert found.pool == pool


@given(st.text(max_size=30))
def test_any_name_has_words_or_none(name: str) -> None:
    found = split_name(name)
    assert found is None or all(word in words(name) for word in found.rest)
