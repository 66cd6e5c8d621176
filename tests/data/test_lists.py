"""Lists in the shapes that spreadsheets and programs write them, and texts that are none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.listing import images_of_list
from harness.data.table import read_table
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

CONFIG = DatasetConfig(source="list.csv")
LABELS = st.text(
    st.characters(codec="utf-8", categories=["L", "N"], include_characters=" ,;'\"-"), min_size=1
)
SPLITS = {
    "train": ["train", "Train", "TRAINING"],
    "validation": ["val", "Valid", "dev"],
    "test": ["test", "TEST"],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(12):
        (folder / f"é {number}.png").write_bytes(b"never decoded")
    return folder


@given(
    labels=st.lists(LABELS.map(str.strip).filter(lambda text: bool(text) and "|" not in text), min_size=2),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.sampled_from(
        [("path", "label", "split"), (" Filename ", "CLASS", "Subset"), ("Image_Path", "y", "set")]
    ),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(
    images: Path,
    labels: list[str],
    delimiter: str,
    encoding: str,
    end: str,
    header: tuple[str, str, str],
    data: st.DataObject,
) -> None:
    pools = ["train", *data.draw(st.lists(st.sampled_from(sorted(SPLITS)), min_size=11, max_size=11))]
    rows = [(f"é {number}.png", labels[number % len(labels)]) for number in range(12)]
    known = {label for (_, label), pool in zip(rows, pools, strict=True) if pool == "train"}
    expected = {
        (name, label, pool) for (name, label), pool in zip(rows, pools, strict=True) if label in known
    }
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(header)
    for name, label, pool in sorted(expected):
        writer.writerow((name, label, data.draw(st.sampled_from(SPLITS[pool]))))
    file = images / "list.csv"
    file.write_text(out.getvalue(), encoding=encoding, newline="")
    found = images_of_list(file, CONFIG)
    assert {(one.name, one.pool) for one in found.files} == {(name, pool) for name, _, pool in expected}
    by_name = {name: label for name, label, _ in expected}
    assert all(
        found.classes[one.label].casefold() == by_name[one.name].casefold() for one in found.files if known
    )


@given(text=st.text(max_size=300), suffix=st.sampled_from([".csv", ".tsv"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_list_or_a_sentence(images: Path, text: str, suffix: str) -> None:
    file = images / f"any{suffix}"
    file.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        found = images_of_list(file, CONFIG)
    except DataError as error:
        assert str(file) in str(error)
    else:
        assert found.files


@given(content=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_table_or_a_sentence(images: Path, content: bytes) -> None:
    file = images / "bytes.csv"
    file.write_bytes(content)
    try:
        table = read_table(file)
    except DataError as error:
        assert str(file) in str(error)
    else:
        assert all(len(fields) == len(table.header) for _, fields in table.rows)


def test_a_list_without_a_header_is_told_of(images: Path) -> None:
    file = images / "bare.csv"
    file.write_text("é 1.png,cat\né 2.png,dog\n")
    with pytest.raises(DataError, match=r"first line of .*bare\.csv names an image \(é 1\.png\)"):
        images_of_list(file, CONFIG)


def test_a_list_never_leads_out_of_an_archive(tmp_path: Path) -> None:
    from harness.data.folder import scan_folder

    outside = tmp_path / "secret.png"
    outside.write_bytes(b"x")
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for number in range(4):
        (root / "images" / f"{number}.png").write_bytes(b"x")
    rows = [f"images/{number}.png,{'ab'[number % 2]}" for number in range(4)]
    rows += ["../secret.png,a", f"{outside},b", "/etc/passwd,a"]
    (root / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"3 of 7 images that .* lists are not there"):
        scan_folder(root, CONFIG)
    found = scan_folder(root, DatasetConfig(source="x", max_unreadable=0.5))
    assert [one.name for one in found.files] == [f"images/{number}.png" for number in range(4)]
