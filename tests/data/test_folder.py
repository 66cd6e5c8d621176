"""Folders of any shape: whatever is not used is named, and nothing is used twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.folder import scan_folder
from harness.data.prefix import prefixes
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

FOLDERS = [
    "train", "test", "val", "dev", "cat", "dog", "images", "masks", "extra", "seg_train", "seg_test", "pred",
    "__MACOSX", "train_set", "unlabelled", "data", "exports", "Valid",
]  # fmt: skip
NAMES = st.sampled_from(FOLDERS)
PATHS = st.lists(NAMES, min_size=0, max_size=3).map("/".join)
LAYOUTS = st.sampled_from(["auto", "class_folders", "prefix"])


@given(folders=st.dictionaries(PATHS, st.integers(1, 3), min_size=1, max_size=7), layout=LAYOUTS)
@settings(max_examples=400, deadline=None)
def test_whatever_is_not_used_is_named(
    folders: dict[str, int], layout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    every = [f"{folder}/cat_{number}.png".lstrip("/") for folder, n in folders.items() for number in range(n)]
    for name in every:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"never decoded")
    try:
        found = scan_folder(root, DatasetConfig(source=str(root), layout=layout))  # type: ignore[arg-type]
    except DataError as error:
        assert re.search(r"[.?)]$", str(error))
        return
    used = [file.name for file in found.files]
    assert len(used) == len(set(used))
    assert set(used) <= set(every)
    said = " ".join(found.warnings)
    assert len(found.warnings) < 12
    for name in set(every) - set(used):
        parts = name.split("/")
        places = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)] + parts
        assert any(place in said for place in places) or "more" in said, (name, found.warnings)


STEMS = {
    "american_bulldog_1": "american_bulldog", "Egyptian_Mau_167": "Egyptian_Mau", "cat_001": "cat",
    "cat.12": "cat", "cat-7": "cat", "cat 7": "cat", "cat (7)": "cat", "cat7": "cat", "cat007": "cat",
    "american_bulldog12": "american_bulldog", "img-001-cat": "img", "cat_left": "cat", "cat_left_ear": "cat",
    "american_bulldog_f3a29c": "american_bulldog", "cat_x0": "cat", "cat_IMG0012": "cat",
    "n02085620_10131": "n02085620", "001.ak47_0001": "001.ak47", "7_00012": "7", "25_0_1_2017": "25",
    "cat_1 (2)": "cat", "cat_12 - Copy": "cat", "cat": "cat", "12": "", "cat_12_crop": "cat",
    "café_noir_3": "café_noir", "boeing_747_12": "boeing_747",
}  # fmt: skip


@pytest.mark.parametrize("stem", STEMS)
def test_the_class_is_what_stands_before_the_last_number(stem: str) -> None:
    # A single name is alone in its class whatever is cut, so nothing more is.
    assert prefixes([stem, f"{stem}"]) == [STEMS[stem]] * 2


def test_numbers_that_only_count_further_go_too() -> None:
    assert prefixes(["dog_1_1", "dog_2_1", "cat_1_2", "cat_2_2"]) == ["dog", "dog", "cat", "cat"]


@given(st.lists(st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=20), min_size=1))
def test_any_name_has_a_class_or_none(stems: list[str]) -> None:
    for stem, label in zip(stems, prefixes(stems), strict=True):
        assert stem.startswith(label) or label in stem


def test_links_to_one_folder_from_many_places_end(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "a"
    folder.mkdir(parents=True)
    for level in range(12):
        inner = folder / f"level{level}"
        inner.mkdir()
        (folder / "again").symlink_to(inner, target_is_directory=True)
        folder = inner
    (folder / "1.png").write_bytes(b"x")
    (tmp_path / "root" / "b").mkdir()
    (tmp_path / "root" / "b" / "2.png").write_bytes(b"x")
    found = scan_folder(tmp_path / "root", DatasetConfig(source="x"))
    assert len(found.files) == 2
