"""The nearest images by the network's features; computed once, and anew when something changes."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli import main
from harness.errors import ServingError
from harness.paths import embeddings_file
from harness.serving.bundle import open_bundle
from harness.serving.embedding import Embedder
from harness.serving.inputs import inputs_of
from harness.serving.predictor import Predictor, predictor
from harness.serving.similar import Index, index_of, neighbours
from tests.serving.conftest import paint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(colours: Path) -> Predictor:
    return predictor(open_bundle(colours))


@pytest.fixture
def photos() -> Path:
    for colour in ("red", "green", "blue"):
        for number in range(4):
            paint(Path(f"photos/{colour}{number}.jpg"), colour, number)
    return Path("photos")


def index(model: Predictor, folder: Path) -> Any:
    return index_of(Embedder(model), list(inputs_of([str(folder)], (), ())), lambda _: None)


def test_the_nearest_are_of_the_same_colour(model: Predictor, photos: Path) -> None:
    embedder = Embedder(model)
    query = paint(Path("query.png"), "green", 99)
    found = neighbours(index(model, photos), embedder(model.prepare(query.read_bytes())[None])[0], 5)
    assert sorted(one.file.name for one in found[:4]) == [f"green{number}.jpg" for number in range(4)]
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    assert 0.99 < found[0].similarity <= 1.0001
    assert found[4].similarity < 0.9


def test_similarities_are_cosines_of_the_last_layers_input(model: Predictor, photos: Path) -> None:
    known = index(model, photos)
    np.testing.assert_allclose(np.linalg.norm(known.embeddings, axis=1), 1, atol=1e-6)
    pixels = np.stack([model.prepare(file.read_bytes()) for file in known.files])
    means = pixels.mean(axis=(1, 2)) / 255  # what that network gives its dense layer
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(known.embeddings, unit, atol=1e-5)
    found = neighbours(known, known.embeddings[0], 3)
    expected = np.sort(unit @ unit[0])[::-1][:3]
    np.testing.assert_allclose([one.similarity for one in found], expected, atol=1e-5)


def test_the_query_itself_is_left_out(model: Predictor, photos: Path) -> None:
    known = index(model, photos)
    for leave_out, count in ((photos / "red0.jpg", 11), (Path("elsewhere.jpg"), 12), (None, 12)):
        found = neighbours(known, known.embeddings[8], 50, leave_out)
        assert len(found) == count
        assert (photos / "red0.jpg" in [one.file for one in found]) == (count == 12)


def kept() -> list[Path]:
    return sorted(embeddings_file("*").parent.glob("*.npz"))


def test_features_are_computed_once_until_something_changes(
    model: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = index(model, photos)
    (file,) = kept()
    prepared: list[int] = []
    original = Predictor.prepare
    monkeypatch.setattr(
        Predictor, "prepare", lambda self, content: prepared.append(1) or original(self, content)
    )
    again = index(model, photos)
    assert prepared == []
    assert again.files == first.files
    np.testing.assert_array_equal(again.embeddings, first.embeddings)
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(index(model, photos).embeddings, first.embeddings)
    assert len(prepared) == 12
    os.utime(photos / "red0.jpg", (1, 1))
    index(model, photos)
    assert len(kept()) == 2
    paint(photos / "one more.png", "red")
    assert len(index(model, photos).files) == 13
    assert len(kept()) == 3


def test_features_that_were_damaged_since_are_removed_and_told(model: Predictor, photos: Path) -> None:
    known = index(model, photos)
    (file,) = kept()
    file.write_bytes(b"no features")
    with pytest.raises(ServingError, match=r"are damaged, and were removed. Type the command again"):
        neighbours(known, np.eye(3, dtype=np.float32)[0], 5)
    assert kept() == []
    assert len(neighbours(index(model, photos), np.eye(3, dtype=np.float32)[0], 5)) == 5


def drawn_index(images: int, features: int, seed: int) -> Index:
    """Features in some heaps, as those of photographs are; no image belongs to them."""
    rng = np.random.default_rng(seed)
    heaps = rng.normal(size=(8, features))
    drawn = heaps[rng.integers(0, 8, images)] + 0.5 * rng.normal(size=(images, features))
    file = embeddings_file(f"drawn-{images}-{features}-{seed}")
    file.parent.mkdir(parents=True, exist_ok=True)
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    np.savez(file, embeddings=unit.astype(np.float32))
    return Index(tuple(Path(f"{number}.jpg") for number in range(images)), file, ())


@pytest.mark.parametrize(("images", "features", "seed"), [(40, 3, 0), (600, 48, 1), (900, 320, 2)])
def test_a_graph_of_the_features_leads_to_the_same_ten(images: int, features: int, seed: int) -> None:
    pytest.importorskip("faiss", reason="needs harness[similar]")
    known = drawn_index(images, features, seed)
    made: list[int] = []
    for query in known.embeddings[::37]:
        each = neighbours(known, query, 10)
        followed = neighbours(known, query, 10, large=images - 1, seen=made.append)
        assert [one.file for one in followed] == [one.file for one in each]
        np.testing.assert_allclose(
            [one.similarity for one in followed], [one.similarity for one in each], atol=1e-5
        )
    assert sum(made) == images, "the graph is made once, and kept"
    assert known.features.with_suffix(".faiss").is_file()


def test_a_graph_is_made_anew_if_it_is_damaged_or_of_other_features(model: Predictor, photos: Path) -> None:
    pytest.importorskip("faiss", reason="needs harness[similar]")
    known = index(model, photos)
    graph = known.features.with_suffix(".faiss")
    query = known.embeddings[3]
    expected = neighbours(known, query, 5)

    def added() -> int:
        made: list[int] = []
        assert [one.file for one in neighbours(known, query, 5, large=5, seen=made.append)] == [
            one.file for one in expected
        ]
        return sum(made)

    assert (added(), added()) == (12, 0)
    whole = graph.read_bytes()
    for damaged in (whole[:200], b"", b"no graph"):
        graph.write_bytes(damaged)
        assert (added(), added()) == (12, 0)
    other = drawn_index(30, 3, 0)
    neighbours(other, query, 5, large=5)
    graph.write_bytes(other.features.with_suffix(".faiss").read_bytes())
    assert (added(), added()) == (12, 0)
    known.features.unlink()
    index(model, photos)  # features that were computed anew have no graph yet
    assert not graph.exists()


def test_without_faiss_each_image_is_compared(
    model: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = index(model, photos)
    monkeypatch.setattr("harness.serving.nearest.find_spec", lambda _: None)
    found = neighbours(known, known.embeddings[3], 5, large=5)
    assert len(found) == 5
    assert not known.features.with_suffix(".faiss").exists()


def typed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", "similar", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), *capsys.readouterr()


def test_the_command(colours: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(Path("<b>.png"), "blue", 50)
    code, out, err = typed(capsys, colours, "<b>.png", "--in", photos, "--top", 2)
    assert code == 0
    head, first, second, _, page = out.splitlines()
    assert head.split() == ["similarity", "file"]
    assert all("photos/blue" in line for line in (first, second))
    assert page == "page  <b>-similar.html"
    text = Path("<b>-similar.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 3
    assert "&lt;b&gt;.png" in text
    assert re.search(r'<figure title="photos/blue\d\.jpg">.*<bdi>blue\d\.jpg</bdi>', text)
    assert "<b>.png" not in text
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "<script" not in text
    (photos / "bad.jpg").write_text("no image")
    code, out, err = typed(capsys, colours, "<b>.png", "--in", photos, "--json", "--out", "page.html")
    assert code == 1
    found = json.loads(out)
    assert (found["images"], len(found["found"]), found["page"]) == (12, 12, "page.html")
    assert [one["file"] for one in found["errors"]] == ["photos/bad.jpg"]
    assert "warning: photos/bad.jpg: The image cannot be read" in err


def test_mistakes_are_sentences(colours: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("text.png").write_text("text")
    for arguments, said in (
        ((photos / "red0.jpg", "--in", "gone"), "There is no folder gone"),
        (("gone.png", "--in", photos), "gone.png cannot be read"),
        (("text.png", "--in", photos), "text.png: The image cannot be read"),
        (
            (photos / "red0.jpg", "--in", "empty"),
            "There is no image to compare with: empty: There are no images",
        ),
        ((photos / "red0.jpg", "--in", photos, "--out", "no/page.html"), "The folder no does not exist"),
    ):
        code, out, err = typed(capsys, colours, *arguments)
        assert code != 0
        assert said in err
        assert out == ""
