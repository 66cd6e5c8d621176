"""docs/data.md says how data sets are taken; every row of its tables is tried."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.prepare import prepare
from harness.errors import DataError
from harness.experiment.load import load
from harness.records import Dataset

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
COPIES = 6
Row = dict[str, str]


def rows(*titles: str) -> list[Row]:
    """The rows of the tables in these sections, by the names of their columns."""
    found: list[Row] = []
    section, header = "", []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section, header = line[3:], []
        elif line.startswith("|") and section in titles:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not header:
                header = cells
            elif not set(line) <= set("|- "):
                found.append(dict(zip(header, cells, strict=True)))
    return found


def spans(cell: str) -> tuple[list[str], list[str]]:
    """What stands in the cell as code: files, and settings."""
    every = [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", cell)]
    settings = [span for span in every if span.startswith("dataset.")]
    return [span for span in every if span not in settings], settings


def quoted(cell: str) -> list[str]:
    return re.findall(r"“([^”]+)”", cell)


def prepared(source: str, settings: list[str]) -> Dataset:
    Path("mine.yaml").write_text("name: mine\nspace: {depth: [1, 2]}\n")
    given = [f"dataset.source={source}", "dataset.validation_fraction=0.0", "dataset.test_fraction=0.0"]
    config = load("mine.yaml", [*given, *settings]).dataset
    return prepare(config, seed=0, progress=lambda *_: None)


def check(row: Row, source: str, settings: list[str]) -> None:
    if row["classes"] == "refused":
        with pytest.raises(DataError) as caught:
            prepared(source, settings)
        said = str(caught.value)
        assert "Traceback" not in said
    else:
        found = prepared(source, settings)
        assert ", ".join(found.classes) == row["classes"]
        counts = {part: count for part, count in found.counts.items() if count}
        assert ", ".join(f"{part} {count}" for part, count in counts.items()) == row["images by split"]
        said = "\n".join(found.warnings)
        # What is always said of flat folders, and of splits that lack a class, is not repeated in every row.
        usual = ("by the beginnings of names", "macro averages leave")
        assert quoted(row["said"]) or all(any(part in one for part in usual) for one in found.warnings)
    for phrase in quoted(row["said"]):
        assert phrase in said


def numbered(pattern: str) -> list[str]:
    return (
        [pattern.replace("*", str(number)) for number in range(1, COPIES + 1)]
        if "*" in pattern
        else [pattern]
    )


def make_files(specs: list[str], below: Path) -> None:
    seed = 0
    for spec in specs:
        name, colon, table = spec.partition(": ")
        if colon:
            lines = [line for row in table.split(" / ") for line in numbered(row)]
            (below / name).parent.mkdir(parents=True, exist_ok=True)
            (below / name).write_text("\n".join(lines) + "\n")
            continue
        for file in numbered(name):
            seed += 1
            path = below / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".png", ".jpg"):
                noise = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
                Image.fromarray(noise).save(path, "png")
            else:
                path.write_text("x")


@pytest.mark.parametrize("row", rows("Folders", "Flat folders"), ids=lambda row: row["files"][:60])
def test_folders_are_taken_as_documented(row: Row) -> None:
    files, settings = spans(row["files"])
    make_files(files, Path("data"))
    check(row, "data", settings)


@pytest.mark.parametrize("row", rows("Lists"), ids=lambda row: row["files"][-60:])
def test_lists_are_taken_as_documented(row: Row) -> None:
    files, settings = spans(row["files"])
    make_files(files, Path())
    check(row, "in" if files[0].startswith("in/") else "list.csv", settings)


ARRAY = re.compile(
    r"(?P<key>\w+)(?:: *(?P<kind>[a-z][\w-]*)?)?"
    r"(?: *(?P<low>-?[\d.]+)…(?P<high>[\d.]+))?(?: *\((?P<count>\d+)\))?"
)


def values(kind: str, low: float, high: float, shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    """Random values of the type that reach exactly from low to high."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(low, high, shape)
    found = found if kind.startswith("float") else np.round(found)
    found.flat[0], found.flat[-1] = low, high
    return found.astype(kind)


def make_arrays(specs: list[str]) -> None:
    arrays: dict[str, Any] = {}
    for spec in specs:
        parsed = ARRAY.fullmatch(spec)
        assert parsed, spec
        key, count, kind = parsed["key"], int(parsed["count"] or 12), parsed["kind"]
        numbers = np.arange(count) % 2
        labels = {
            "words": np.array(["a", "b"])[numbers] if key != "classes" else np.array(["a", "b"]),
            "numerals": numbers.astype(str),
            "one-hot": np.eye(2)[numbers],
            "floats": numbers.astype(np.float32),
        }
        if kind in labels:
            arrays[key] = labels[kind]
        elif key[0] in "yY" or "label" in key or "target" in key:
            arrays[key] = numbers
        else:
            low, high = float(parsed["low"] or 0), float(parsed["high"] or 255)
            arrays[key] = values(kind or "uint8", low, high, (count, 5, 6), seed=len(arrays))
    np.savez("data.npz", **arrays)


@pytest.mark.parametrize("row", rows("Arrays"), ids=lambda row: row["files"])
def test_arrays_are_taken_as_documented(row: Row) -> None:
    files, settings = spans(row["files"])
    make_arrays(files)
    check(row, "data.npz", settings)


def png_16(pixels: np.ndarray[Any, Any]) -> bytes:
    """A grey PNG of 16 bits; written by hand, so that no reader vouches for itself."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check_sum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check_sum

    height, width = pixels.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def encoded(kind: str, pixels: np.ndarray[Any, Any]) -> bytes:
    if kind == "PNG" and pixels.dtype == np.uint16:
        return png_16(pixels)
    if kind == "PPM":
        return b"P5 6 5 65535\n" + pixels.astype(">u2").tobytes()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def make_pixels(specs: list[str]) -> str:
    if ":" in specs[0]:
        arrays = [f"{spec} (12)" for spec in specs]
        make_arrays([*arrays, *("y" + spec[1:].partition(":")[0] for spec in specs)])
        return "data.npz"
    kind, dtype, reach = specs[0].split()
    low, high = map(float, reach.split("…"))
    every = values(dtype, low, high, (12, 5, 6))
    for number, pixels in enumerate(every):
        path = Path("data", "ab"[number % 2], f"{number}.x")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(kind, pixels))
    return "data"


@pytest.mark.parametrize("row", rows("Pixels"), ids=lambda row: row["pixels"])
def test_pixels_are_taken_as_documented(row: Row) -> None:
    files, settings = spans(row["pixels"])
    source = make_pixels(files)
    taken = row["become 0 and 255"]
    if taken == "refused":
        with pytest.raises(DataError) as caught:
            prepared(source, settings)
        said = str(caught.value)
    else:
        found = prepared(source, settings)
        expected = None if taken == "as they are" else tuple(map(float, taken.split(", ")))
        assert found.pixel_range == expected
        said = "\n".join(found.warnings)
        assert quoted(row["said"]) or not said
    for phrase in quoted(row["said"]):
        assert phrase in said


def test_the_page_has_all_its_tables() -> None:
    sizes = [len(rows(title)) for title in ("Folders", "Flat folders", "Lists", "Arrays", "Pixels")]
    assert min(sizes) >= 10
    assert sum(sizes) > 100
