"""Images of one group stay on one side of a split, and classes keep their shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.arrays import load
from harness.data.group_split import hold_out_groups
from harness.data.groups import units
from harness.data.prepare import prepare
from harness.data.sealed import open_sealed
from harness.errors import DataError, ExperimentError
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.load import dump, restore
from harness.experiment.load import load as load_experiment
from harness.records import Dataset

Draw = Any


def prepared(source: str, seed: int = 0, **changes: Any) -> Dataset:
    return prepare(DatasetConfig(source=source, **changes), seed=seed, progress=lambda *_: None)


def parts(found: Dataset) -> list[set[bytes]]:
    arrays = load(found)
    return [
        {image.tobytes() for image in images[:]}
        for images, _ in (arrays.train(), arrays.validation(), open_sealed(found))
    ]


SIZES = st.lists(st.lists(st.integers(1, 30), min_size=2, max_size=25), min_size=1, max_size=6)
"""By class, the sizes of its groups."""


@given(SIZES, st.floats(0.05, 0.6), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_groups_of_one_class_are_divided_in_its_share(
    sizes: list[list[int]], fraction: float, seed: int
) -> None:
    """As near as half of the largest group, but for classes with a single group on one of the sides."""
    labels = np.array([k for k, own in enumerate(sizes) for size in own for _ in range(size)], np.int32)
    every = [size for own in sizes for size in own]
    group = np.repeat(np.arange(len(every)), every).astype(np.uint64)
    order = np.random.default_rng(seed).permutation(len(labels))
    labels, group = labels[order], group[order]
    names = [str(k) for k in range(len(sizes))]
    candidates = np.arange(len(labels))
    stays, held = hold_out_groups(candidates, labels, group, fraction, seed, classes=names, what="validation")
    assert sorted([*stays, *held]) == candidates.tolist()
    assert not set(group[stays]) & set(group[held])
    for label, own in enumerate(sizes):
        number, total = int((labels[held] == label).sum()), sum(own)
        assert 0 < number < total
        aside = len(set(group[held][labels[held] == label]))
        missed = abs(number - fraction * total)
        assert 2 * missed <= max(own) or aside in (1, len(own) - 1)
    again = hold_out_groups(candidates, labels, group, fraction, seed, classes=names, what="validation")
    np.testing.assert_array_equal(again[1], held)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=30, max_size=120),
    st.floats(0.1, 0.5),
    st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_groups_of_several_classes_never_straddle(
    images: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    labels = np.array([label for label, _ in images], np.int32)
    group = np.array([group for _, group in images], np.uint64)
    names = ["a", "b", "c", "d"]
    try:
        stays, held = hold_out_groups(
            np.arange(len(images)), labels, group, fraction, seed, classes=names, what="the test"
        )
    except DataError as error:
        groups_of = [len(set(group[labels == label])) for label in range(4)]
        assert min(groups_of) < 2 or "cannot be divided" in str(error)
        return
    assert not set(group[stays]) & set(group[held])
    assert set(labels[stays]) == set(labels[held]) == {0, 1, 2, 3}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 25),
            st.sampled_from(["", "", "p", "q", "r", "s"]),
            st.sampled_from([-1, -1, 0, 1, 2]),
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(deadline=None)
def test_what_stays_together_is_whatever_a_chain_of_groups_and_alike_images_joins(
    images: list[tuple[int, str, int]],
) -> None:
    hashes = {"train": np.array([one for one, _, _ in images], np.uint64)}
    names = {"train": [name for _, name, _ in images]}
    near = {"train": np.array([link for _, _, link in images])}
    every = {"train": np.arange(len(images))}
    found = units(hashes, names, every, near)["train"]  # type: ignore[arg-type]
    together = [{number} for number in range(len(images))]
    for one, (pixels, name, link) in enumerate(images):
        for other, (others, another, linked) in enumerate(images):
            if pixels == others or (name and name == another) or (link >= 0 and link == linked):
                joined = together[one] | together[other]
                for number in joined:
                    together[number] = joined
    for one in range(len(images)):
        assert set(np.flatnonzero(found == found[one])) == together[one]


def test_a_pattern_on_paths_names_the_groups(draw: Draw) -> None:
    """Ten pictures of each of twelve plants, whose names say which; no plant is on two sides."""
    plant_of: dict[bytes, str] = {}
    for label, name in enumerate(("rose", "tulip")):
        for plant in range(12):
            for shot in range(10):
                file = draw(f"data/{name}/{name}{plant}_{shot}.png", seed=1000 * label + 10 * plant + shot)
                plant_of[_pixels(file)] = f"{name}{plant}"
    plain = prepared("data")
    assert any(_straddle(parts(plain), plant_of))
    for seed in range(3):
        found = prepared("data", seed, groups=r"(\w+)_\d+\.png")
        assert any("24 groups of 10 images" in one for one in found.warnings)
        assert not any(_straddle(parts(found), plant_of))
        assert found.counts == {"train": 160, "validation": 40, "test": 40}
        assert found.digest == plain.digest
        assert found.folder == plain.folder  # pixels are the same, and decoded once
        assert found.split_digests["train"] != plain.split_digests["train"]


def test_a_list_has_a_column_for_groups(draw: Draw) -> None:
    rows = ["path,label,group"]
    patients = ["path,label,patient"]
    for number in range(60):
        draw(f"x/{number}.png", seed=number)
        rows.append(f"x/{number}.png,{'ab'[number % 2]},{number // 10 if number < 50 else ''}")
        patients.append(rows[-1])
    Path("list.csv").write_text("\n".join(rows))
    found = prepared("list.csv")
    (said,) = [one for one in found.warnings if one.startswith("Groups by")]
    assert "5 groups of 10 images; 10 images of no group" in said
    group_of = {
        _pixels(Path(f"x/{number}.png")): str(number // 10 if number < 50 else f"alone {number}")
        for number in range(60)
    }
    assert not any(_straddle(parts(found), group_of))
    assert prepared("list.csv", groups="none").split != found.split
    Path("list.csv").write_text("\n".join(patients))
    named = prepared("list.csv", columns={"group": "patient"})
    assert named.split_digests == found.split_digests
    with pytest.raises(DataError, match="Groups are named twice"):
        prepared("list.csv", columns={"group": "patient"}, groups=r"x/(\d)")


def test_identical_images_join_groups(draw: Draw) -> None:
    for label, name in enumerate("ab"):
        for group in range(8):
            for shot in range(3):
                # The last shot of a group is the first one of the next, for every second group.
                seed = 100 * label + 10 * group + shot
                if shot == 2 and group % 2 == 0:
                    seed = 100 * label + 10 * (group + 1)
                draw(f"data/{name}/{group}_{shot}.png", seed=seed)
    pair_of = {
        _pixels(file): f"{file.parent.name}{int(file.name[0]) // 2}" for file in Path("data").rglob("*.png")
    }
    for seed in range(4):
        assert not any(_straddle(parts(prepared("data", seed, groups=r"(\w/\d)_")), pair_of))


def test_groups_in_two_given_splits_are_left_out_of_one(draw: Draw) -> None:
    for label, name in enumerate("ab"):
        for number in range(8):
            draw(f"data/train/{name}/{number % 4}_{number}.png", seed=100 * label + number)
        draw(f"data/test/{name}/3_9.png", seed=100 * label + 50)
        draw(f"data/test/{name}/7_9.png", seed=100 * label + 51)
    found = prepared("data", groups=r"(\w/\d)_")
    assert found.counts["test"] == 4
    assert found.counts["train"] + found.counts["validation"] == 12
    assert any("4 training images that are also test images, or of a group" in one for one in found.warnings)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(a|b)/", "The class 'a' has 12 images of 1 group left to hold some out for the test"),
        (r"\w/(\d)_", "cannot be divided|has 12 images of 2 groups|of 1 group left"),
        (r"plant", "fits none of the 24 images of data; the first one's path is 'a/0_0.png'"),
    ],
)
def test_groups_that_cannot_be_kept_are_told_of(draw: Draw, pattern: str, said: str) -> None:
    for label, name in enumerate("ab"):
        for number in range(12):
            draw(f"data/{name}/{number % 2}_{number}.png", seed=100 * label + number)
    with pytest.raises(DataError, match=said):
        prepared("data", groups=pattern)


def test_a_pattern_must_be_one() -> None:
    with pytest.raises(ExperimentError, match=r"dataset\.groups.*no regular expression"):
        load_experiment("quickstart", ["dataset.groups='(a'"])


def test_a_study_of_a_version_without_groups_has_none() -> None:
    recorded = dump(load_experiment("quickstart"))
    assert recorded["dataset"]["groups"] == "auto"
    del recorded["dataset"]["groups"]
    assert restore(recorded).dataset.groups == "none"


def _pixels(file: Path) -> bytes:
    from PIL import Image

    return np.asarray(Image.open(file)).tobytes()


def _straddle(found: list[set[bytes]], group_of: dict[bytes, str]) -> list[str]:
    """Groups with images in two of the parts."""
    groups = [{group_of[image] for image in part} for part in found]
    return sorted(groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2])
