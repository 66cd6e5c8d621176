"""What is trained on and validated with is known without any test image; old prepared data still serves."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.data.sealed import digest_of_test, open_sealed
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths.prepared import sealed_name
from harness.records import Dataset

PACKAGE = Path(__file__).parent.parent.parent / "harness"


def digits(seed: int = 0) -> Dataset:
    return prepare(DatasetConfig(source="digits"), seed=seed, progress=lambda *_: None)


def test_the_file_of_a_split_names_no_test_image() -> None:
    found = digits()
    folder = Path(found.folder)
    with np.load(folder / found.split) as stored, np.load(folder / sealed_name(found.split)) as sealed:
        assert set(stored) == {"train", "validation", "pools"}
        named = np.concatenate([stored["train"], stored["validation"]])
        assert str(sealed["pool"]) == "train"  # they were held out of it
        assert len(sealed["test"]) == found.counts["test"] > 0
        assert not np.isin(sealed["test"], named).any()
        assert len(named) + len(sealed["test"]) == 1797


def test_what_is_loaded_for_training_needs_no_file_of_test_images() -> None:
    found = digits()
    (Path(found.folder) / sealed_name(found.split)).unlink()
    assert len(load(found).train()[1]) == found.counts["train"]
    with pytest.raises(DataError, match="missing or damaged"):
        open_sealed(found)
    assert len(open_sealed(digits())[1]) == found.counts["test"]  # it is written again


def test_only_who_writes_and_who_opens_it_knows_the_file_of_test_images() -> None:
    """Workers have one function that does, and it is asked for in one place."""
    users, askers = set(), set()
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        name = str(file.relative_to(PACKAGE))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "harness.data.sealed":
                users.add(name)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Question":
                words = {one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)}
                askers |= {name} if "test" in words else set()
    assert users == {
        "audit/examine.py", "confirmation/sealed_data.py", "data/parts.py", "train/testing.py"
    }  # fmt: skip
    assert askers == {"confirmation/opening.py"}


def test_a_split_of_an_earlier_version_is_still_read() -> None:
    found = digits()
    folder = Path(found.folder)
    with np.load(folder / found.split) as stored, np.load(folder / sealed_name(found.split)) as sealed:
        np.savez(
            folder / "split-0123456789ab.npz",
            train=stored["train"],
            validation=stored["validation"],
            test=sealed["test"],
            pools=np.array(["train", "train", "train"]),
        )
    old = Dataset(
        name=found.name, folder=found.folder, split="split-0123456789ab.npz", digest=found.digest,
        classes=found.classes, image_shape=found.image_shape, counts=found.counts,
        class_counts=found.class_counts,
    )  # fmt: skip
    for part in ("train", "validation"):
        np.testing.assert_array_equal(load(old).on_disk(part)[1], load(found).on_disk(part)[1])  # type: ignore[arg-type]
    np.testing.assert_array_equal(open_sealed(old)[0][:], open_sealed(found)[0][:])
    assert digest_of_test(old) == digest_of_test(found) == found.split_digests["test"]


def test_digests_of_parts_tell_splits_apart() -> None:
    one, same, other = digits(), digits(), digits(seed=1)
    assert one.split_digests == same.split_digests
    assert len(set(one.split_digests.values())) == 3
    assert one.split_digests["test"] == other.split_digests["test"]
    assert one.split_digests["train"] != other.split_digests["train"]
