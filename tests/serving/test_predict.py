"""`harness predict`: any files, in their order, with an error where one cannot be read."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.serving.bundle import open_bundle
from harness.serving.classify import LARGEST_BATCH, Wanted, batch_size, classify
from harness.serving.inputs import Input, inputs_of
from harness.serving.predictor import predictor
from harness.serving.results import UNSURE
from tests.serving.conftest import film, paint

pytestmark = pytest.mark.slow


class Typed:
    """What a command printed, and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object, stdin: str = "") -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with pytest.raises(SystemExit) as ended:
                main()
        self.code = ended.value.code or 0
        self.out, self.err = capsys.readouterr()

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def photos() -> Path:
    for colour in ("red", "green", "blue"):
        for number in range(3):
            paint(Path(f"photos/{colour}/{number}.jpg"), colour, number)
    paint(Path("photos/green/wrong.png"), "blue")
    return Path("photos")


def test_a_table_with_accuracy_where_folders_are_classes(
    colours: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = Typed(capsys, "predict", colours, photos, "--top", 2)
    assert typed.code == 0
    head, *rows = typed.out.split("\n\n")[0].splitlines()
    assert head.split() == ["file", "class", "probability", "2.", "label"]
    assert [row.split()[:2] for row in rows] == [
        *([f"photos/blue/{number}.jpg", "blue"] for number in range(3)),
        *([f"photos/green/{number}.jpg", "green"] for number in range(3)),
        ["photos/green/wrong.png", "blue"],
        *([f"photos/red/{number}.jpg", "red"] for number in range(3)),
    ]
    assert "accuracy  0.9000 (9 of 10 files in folders of a class; 95 %: 0.596 to 0.982)" in typed.out
    assert typed.out.splitlines()[-3:] == [
        "blue                 3      0    0",
        "green                1      3    0",
        "red                  0      0    3",
    ]
    assert "10 images in" in typed.err
    assert "images/s" in typed.err


def test_what_cannot_be_read_is_reported_and_does_not_stop_the_rest(
    colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(Path("a.png"), "red")
    Path("b.png").write_bytes(Path("a.png").read_bytes()[:200])
    Path("c.jpg").write_text("<html>")
    Path("d.png").write_bytes(b"")
    paint(Path("e.png"), "blue")
    typed = Typed(capsys, "predict", colours, "a.png", "b.png", "c.jpg", "d.png", "gone", "e.png", "--json")
    assert typed.code == 1
    found = typed.json()["results"]
    assert [one["class"] for one in found] == ["red", None, None, None, None, "blue"]
    assert [bool(one["error"]) for one in found] == [False, True, True, True, True, False]
    assert all(one["error"].endswith(".") for one in found if one["error"])
    for name in ("b.png", "c.jpg", "d.png", "gone"):
        assert f"warning: {name}: " in typed.err
    assert "4 files with errors" in typed.err
    assert typed.json()["agreement"] is None
    assert set(typed.json()) == {"model", "sha256", "classes", "results", "agreement"}


def test_csv_has_a_row_for_each_file(colours: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/red/x,\ny.png").write_text("no image")
    typed = Typed(capsys, "predict", colours, photos, "--csv", "--top", 9)
    rows = list(csv.DictReader(io.StringIO(typed.out)))
    assert len(rows) == 11
    assert {row["kind"] for row in rows} == {"image", ""}
    assert list(rows[0])[-6:] == [
        f"{name}_{place}" for place in (1, 2, 3) for name in ("class", "probability")
    ]
    assert sum(float(rows[0][f"probability_{place}"]) for place in (1, 2, 3)) == pytest.approx(1, abs=1e-6)
    (bad,) = [row for row in rows if row["error"]]
    assert bad["file"] == "photos/red/x,\ny.png"


def test_names_of_any_bytes_are_printed(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = Path(os.fsdecode(b"d/caf\xe9 \x1b[2J.png"))
    paint(name, "red")
    for options in ((), ("--json",), ("--csv",)):
        typed = Typed(capsys, "predict", colours, "d", name, *options)
        assert typed.code == 0
        typed.out.encode()
    assert typed.out.count("caf\\udce9 \x1b[2J.png") == 2  # as it is; nobody's terminal reads CSV
    table = Typed(capsys, "predict", colours, "d").out
    assert "\x1b" not in table
    assert "caf\\udce9" in table


def test_below_the_threshold_it_is_unsure(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(Path("a.png"), "red")
    sure = Typed(capsys, "predict", colours, "a.png", "--json", "--threshold", 0.5).json()["results"][0]
    assert (sure["class"], sure["unsure"]) == ("red", False)
    unsure = Typed(capsys, "predict", colours, "a.png", "--json", "--threshold", 1).json()["results"][0]
    assert (unsure["class"], unsure["unsure"], unsure["top"][0]["class"]) == ("unsure", True, "red")
    assert "unsure (red)" in Typed(capsys, "predict", colours, "a.png", "--threshold", 1).out


def test_paths_on_standard_input(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(Path("a.png"), "red")
    paint(Path("b/c.png"), "blue")
    typed = Typed(capsys, "predict", colours, "-", "--json", stdin="a.png\nb\n")
    assert [one["class"] for one in typed.json()["results"]] == ["red", "blue"]
    assert "only once" in Typed(capsys, "predict", colours, "-", "-").err
    assert "exclude each other" in Typed(capsys, "predict", colours, "a.png", "--json", "--csv").err


def test_a_video_by_frames_and_segments(colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(Path("d/film.mp4"), ["red", "blue", "red"], frames=30)
    paint(Path("d/a.png"), "green")
    typed = Typed(capsys, "predict", colours, "d", "--json", "--every", 3, "--smooth", 3)
    image, video = typed.json()["results"]
    assert image["class"] == "green"
    assert "frames" not in image
    assert video["class"] == "red"
    assert video["probability"] == pytest.approx(2 / 3, abs=0.1)
    assert [one["frame"] for one in video["frames"]] == list(range(0, 90, 3))
    assert [one["class"] for one in video["segments"]] == ["red", "blue", "red"]
    assert [one["start"] for one in video["segments"]] == pytest.approx([0, 3, 6], abs=0.31)
    assert video["segments"][-1]["end"] == pytest.approx(9, abs=0.11)
    table = Typed(capsys, "predict", colours, "d", "--every", 3, "--top", 1).out.splitlines()
    assert [line.split()[0] for line in table[:4]] == ["file", "d/a.png", "d/film.mp4", "0:00.0"]
    assert [line.split()[2] for line in table[3:]] == ["red", "blue", "red"]
    rows = list(csv.DictReader(io.StringIO(Typed(capsys, "predict", colours, "d", "--csv").out)))
    assert [row["kind"] for row in rows] == ["image", "video", *["segment"] * 3, *["frame"] * 9]


def test_a_damaged_video_has_the_frames_before_the_damage(
    colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = film(Path("film.mkv"), ["red"], frames=60).read_bytes()
    Path("film.mkv").write_bytes(content[:100])
    Path("other.png").write_bytes(b"RIFF....AVI nothing")
    paint(Path("a.png"), "blue")
    typed = Typed(capsys, "predict", colours, "film.mkv", "other.png", "a.png", "--json")
    assert typed.code == 1
    assert [bool(one["error"]) for one in typed.json()["results"]] == [True, True, False]
    assert typed.json()["results"][2]["class"] == "blue"


def test_a_tampered_bundle_is_refused(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(colours, tmp_path / "changed")
    (tmp_path / "changed" / "labels.txt").write_text("red\ngreen\nblue\n")
    paint(Path("a.png"), "red")
    typed = Typed(capsys, "predict", tmp_path / "changed", "a.png")
    assert typed.code == 1
    assert typed.out == ""
    assert "labels.txt was changed" in typed.err
    assert "nor a study of this name" in Typed(capsys, "predict", "nothing", "a.png").err


def test_memory_is_bounded_and_files_are_taken_as_they_are_needed(colours: Path) -> None:
    assert batch_size((8, 8, 1)) == LARGEST_BATCH
    assert batch_size((224, 224, 3)) == 111
    assert batch_size((5000, 5000, 3)) == 1
    picture = paint(Path("a.png"), "red")
    taken = 0

    def many() -> Any:
        nonlocal taken
        for _ in range(4 * LARGEST_BATCH):
            taken += 1
            yield Input(picture)

    seen: list[int] = []
    results = classify(predictor(open_bundle(colours)), many(), Wanted(), seen.append)
    assert next(results).answer == "red"
    assert taken == 2 * LARGEST_BATCH
    assert sum(1 for _ in results) == 4 * LARGEST_BATCH - 1
    assert sum(seen) == 4 * LARGEST_BATCH


def test_results_are_those_of_one_by_one(colours: Path, photos: Path) -> None:
    model = predictor(open_bundle(colours))
    together = list(
        classify(model, inputs_of([str(photos)], (), model.classes), Wanted(top=3, threshold=0.9))
    )
    for one in together:
        (alone,) = classify(model, [Input(Path(one.file), one.label)], Wanted(top=3, threshold=0.9))
        assert alone.answer == one.answer
        assert [guess.name for guess in alone.guesses] == [guess.name for guess in one.guesses]
        assert alone.guesses[0].probability == pytest.approx(one.guesses[0].probability, abs=1e-5)
        assert one.answer == (UNSURE if one.guesses[0].probability < 0.9 else one.guesses[0].name)
