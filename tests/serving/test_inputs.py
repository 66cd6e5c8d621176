"""Whatever is named is classified or reported, in order; nothing is passed over in silence."""

from __future__ import annotations

import os
from pathlib import Path

from harness.serving.inputs import Input, inputs_of
from tests.serving.conftest import CLASSES, paint


def found(*given: str, lines: tuple[str, ...] = ()) -> list[Input]:
    return list(inputs_of(given, lines, CLASSES))


def names(inputs: list[Input]) -> list[str]:
    return [str(one.path) for one in inputs]


def test_files_and_folders_in_the_order_given() -> None:
    for name in ("b/2.png", "b/1.jpg", "b/deep/er/3.webp", "a.png"):
        paint(Path(name), "red")
    assert names(found("b", "a.png", "b/2.png")) == [
        "b/1.jpg", "b/2.png", "b/deep/er/3.webp", "a.png", "b/2.png"
    ]  # fmt: skip


def test_patterns() -> None:
    for name in ("x/1.png", "x/y/2.png", "[odd].png"):
        paint(Path(name), "red")
    assert names(found("x/*.png")) == ["x/1.png"]
    assert names(found("x/**/*.png")) == ["x/1.png", "x/y/2.png"]
    assert names(found("[odd].png")) == ["[odd].png"]  # a file of this name comes before a pattern
    (nothing,) = found("*.tif")
    assert nothing.error == "No file matches this pattern."


def test_paths_on_standard_input_are_taken_as_they_come() -> None:
    paint(Path("one*.png"), "red")
    paint(Path("two.png"), "red")
    taken: list[str] = []

    def lines() -> list[str]:
        for line in ("one*.png\n", "\n", "two.png\r\n", "gone.png\n"):
            taken.append(line)
            yield line

    every = inputs_of(["two.png", "-"], lines(), CLASSES)
    assert str(next(every).path) == "two.png"
    assert taken == []
    assert [(str(one.path), bool(one.error)) for one in every] == [
        ("one*.png", False), ("two.png", False), ("gone.png", True)
    ]  # fmt: skip


def test_what_is_not_there_is_an_error_of_its_own() -> None:
    os.mkfifo("pipe")
    Path("empty").mkdir()
    assert [one.error for one in found("gone", "pipe", "empty", "x" * 5000, "null\0byte")] == [
        "There is no such file or folder.",
        "It is neither a file nor a folder.",
        "There are no images in this folder.",
        "There is no such file or folder.",
        "There is no such file or folder.",
    ]


def test_the_folder_of_a_class_is_the_label() -> None:
    for name in ("d/red/1.png", "d/test/blue/2.png", "d/green/red/3.png", "d/other/4.png", "d/5.png"):
        paint(Path(name), "red")
    labels = {one.path.name: one.label for one in found("d")}
    assert labels == {"1.png": "red", "2.png": "blue", "3.png": "green", "4.png": None, "5.png": None}
    assert found("d/red")[0].label is None  # only folders within the given one


def test_documents_are_passed_over_and_named_and_videos_are_not() -> None:
    paint(Path("d/1.png"), "red")
    for name in ("film.mp4", "README.md", "table.json", ".hidden.png"):
        Path("d", name).write_text("")
    said: list[str] = []
    inputs = list(inputs_of(["d"], (), CLASSES, said.append))
    assert names(inputs) == ["d/1.png", "d/film.mp4"]
    assert len(said) == 1
    assert "table.json" in said[0]
    assert "film.mp4" not in said[0]
