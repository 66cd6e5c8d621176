"""Near-duplicates stay on one side of every split where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from harness.data.arrays import load
from harness.data.near_duplicates import are_near, near_pairs
from harness.data.prepare import prepare
from harness.data.sealed import which_images
from harness.errors import DataError, ExperimentError
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.load import dump, restore
from harness.experiment.load import load as load_experiment
from harness.paths.prepared import near_duplicates_file
from harness.records import Dataset

SHOTS = 3
"""Versions of one picture: as it is, as a JPEG, brighter."""


def picture(seed: int) -> Image.Image:
    spots = np.random.default_rng(seed).integers(0, 220, (7, 7, 3)).astype(np.uint8)
    return Image.fromarray(spots).resize((40, 40), Image.Resampling.BICUBIC)


def bursts(root: Path, seeds: range) -> None:
    """Two classes; by name, which picture it is and which version."""
    for label, name in enumerate("ab"):
        folder = root / name
        folder.mkdir(parents=True)
        for seed in seeds:
            one = picture(1000 * label + seed)
            one.save(folder / f"{seed:03}_0.png")
            one.save(folder / f"{seed:03}_1.jpg", quality=85)
            ImageEnhance.Brightness(one).enhance(1.1).save(folder / f"{seed:03}_2.png")


def prepared(source: str, seed: int = 0, **changes: Any) -> Dataset:
    return prepare(DatasetConfig(source=source, **changes), seed=seed, progress=lambda *_: None)


def together(source: str, seed: int = 0, **changes: Any) -> Dataset:
    return prepared(source, seed, keep_together="near_duplicates", **changes)


def straddling(found: Dataset) -> int:
    """Pairs of near-duplicates in two of the parts of a split, all of whose images are in one pool."""
    arrays = load(found)
    images, _ = arrays.on_disk("train")
    rows = [images.indices, arrays.on_disk("validation")[0].indices, which_images(found)[0]]
    part = np.full(len(images.pool), -1)
    for number, own in enumerate(rows):
        part[own] = number
    pairs = near_pairs(lambda at: images.pool[at], len(images.pool), lambda *_: None).pairs
    assert len(pairs) >= len(images.pool)  # three of three versions each
    return int((part[pairs[:, 0]] != part[pairs[:, 1]]).sum())


def test_near_duplicates_stay_on_one_side_of_drawn_splits() -> None:
    bursts(Path("data"), range(20))
    plain = prepared("data")
    assert straddling(plain) > 0
    for seed in range(3):
        found = together("data", seed)
        assert straddling(found) == 0
        assert (sum(found.counts.values()), found.counts["test"]) == (120, 18)
        assert found.counts["validation"] in (18, 21)  # of 102 a fifth, as near as threes allow
        assert "120 images are nearly the same as others (dataset.keep_together): 40 groups" in str(
            found.warnings
        )
        assert found.folder == plain.folder  # pixels are the same, and decoded once
        assert found.split != plain.split
        assert found.split_digests["train"] != plain.split_digests["train"]


def test_they_are_looked_for_once_for_each_content() -> None:
    bursts(Path("data"), range(20))
    told: list[str] = []
    config = DatasetConfig(source="data", keep_together="near_duplicates")

    def prepare_and_listen() -> Dataset:
        return prepare(config, seed=0, progress=lambda label, *_: told.append(label))

    first = prepare_and_listen()
    assert {"hashing images", "comparing images"} <= set(told)
    told.clear()
    assert prepare_and_listen() == first
    assert not told
    file = near_duplicates_file(Path(first.folder))
    file.write_bytes(file.read_bytes()[:100])
    assert prepare_and_listen() == first
    assert "comparing images" in told


def test_they_are_dealt_out_to_one_fold() -> None:
    bursts(Path("data"), range(20))
    found = together("data", folds=4)
    arrays = load(found)
    images, _ = arrays.on_disk("train")
    rows = images.indices
    pairs = near_pairs(lambda at: images.pool[rows[at]], len(rows), lambda *_: None).pairs
    assert len(pairs) == len(rows)
    for fold in range(4):
        held = arrays.held_out(fold)
        assert (held[pairs[:, 0]] == held[pairs[:, 1]]).all()


def test_of_given_splits_those_near_the_test_images_are_left_out_of_training() -> None:
    bursts(Path("data/train"), range(20))
    bursts(Path("data/test"), range(100, 110))
    for name in "ab":
        for number in range(4):
            with Image.open(f"data/train/{name}/{number:03}_0.png") as one:
                one.save(f"data/test/{name}/{number:03}_leak.jpg", quality=80)
    found = together("data")
    assert found.counts["test"] == 68
    assert found.counts["train"] + found.counts["validation"] == 120 - 8 * SHOTS
    assert "24 training images that are also test images, or nearly the same as some, were left out" in str(
        found.warnings
    )


def test_groups_and_near_duplicates_are_joined() -> None:
    """Three pictures of each class are three units, for three parts; two of them in a group leave too few."""
    bursts(Path("data"), range(3))
    assert together("data").counts == {"train": 6, "validation": 6, "test": 6}
    pattern = r"(\w)/00[01]"
    assert sum(prepared("data", groups=pattern).counts.values()) == 18
    with pytest.raises(DataError, match="of 1 group left to hold some out for validation"):
        together("data", groups=pattern)


def test_a_data_set_without_any_is_split_all_the_same() -> None:
    for label, name in enumerate("ab"):
        Path("data", name).mkdir(parents=True)
        for seed in range(10):
            picture(100 * label + seed).save(Path("data", name, f"{seed}.png"))
    found = together("data")
    assert "No images are nearly the same (dataset.keep_together)." in found.warnings
    assert sum(found.counts.values()) == 20
    assert found.split_digests == prepared("data").split_digests


def test_images_too_small_to_tell_are_refused() -> None:
    with pytest.raises(DataError, match="keep_together is near_duplicates, but images of 8×8 pixels have"):
        together("digits")


def test_single_pairs_are_judged_as_all_are() -> None:
    images = np.stack([np.asarray(picture(seed)) for seed in range(12)])
    brighter = np.clip(images[:6].astype(np.int64) + 12, 0, 255).astype(np.uint8)
    every = np.concatenate([images, brighter, np.zeros((2, 40, 40, 3), np.uint8)])
    found = near_pairs(lambda at: every[at], len(every), lambda *_: None)
    assert found.complete
    assert found.pairs.tolist() == [[seed, 12 + seed] for seed in range(6)]
    assert (found.correlation > 0.985).all()
    pairs = np.array([[one, other] for one in range(len(every)) for other in range(one)])
    near = are_near(lambda at: every[at], pairs)
    assert sorted(map(sorted, pairs[near].tolist())) == found.pairs.tolist()


def test_the_setting_is_checked_and_recorded() -> None:
    with pytest.raises(ExperimentError, match=r"dataset\.keep_together"):
        load_experiment("quickstart", ["dataset.keep_together=similar"])
    recorded = dump(load_experiment("quickstart", ["dataset.keep_together=near_duplicates"]))
    assert restore(recorded).dataset.keep_together == "near_duplicates"
    del recorded["dataset"]["keep_together"]  # as an earlier version has it
    assert restore(recorded).dataset.keep_together == "identical"
