"""Models of clips: `harness predict` and `harness serve` give them the frames that preparing takes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.serving.bundle import open_bundle
from harness.serving.predictor import Predictor, predictor
from tests.clips import grey, write_gif, write_video
from tests.serving.conftest import write_bundle
from tests.serving.server.client import running
from tests.serving.test_predict import Typed

pytestmark = pytest.mark.slow

CLASSES = ["brighter", "darker"]
FRAMES, SHAPE = 4, (4, 12, 16, 1)
CLOSE = 1e-5


@pytest.fixture(scope="module")
def fades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a network that tells clips which grow brighter from those which grow darker.

    It weighs each pixel by when it is seen, so that no frame alone and no mean of frames says anything.
    """
    folder = tmp_path_factory.mktemp("fades")
    clip = keras.Input(SHAPE)
    dense = keras.layers.Dense(2, use_bias=False)
    scores = dense(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(clip)))
    when = np.repeat(np.linspace(-0.5, 0.5, FRAMES), np.prod(SHAPE[1:])) / 10
    dense.set_weights([np.stack([when, -when], axis=1).astype(np.float32)])
    keras.Model(clip, keras.layers.Softmax()(scores)).save(folder / "model.keras")
    described = {
        "input": {"height": 12, "width": 16, "channels": 1, "frames": FRAMES},
        "output": {"kind": "probabilities", "classes": CLASSES},
    }
    return write_bundle(folder / "fades", (folder / "model.keras").read_bytes(), described)


@pytest.fixture(scope="module")
def model(fades: Path) -> Predictor:
    return predictor(open_bundle(fades))


@pytest.fixture
def films() -> Path:
    up = grey(*range(20, 240, 25), size=(24, 32))
    for name, clip in (("brighter", up), ("darker", up[::-1])):
        write_gif(Path(f"films/{name}/a.gif"), clip)
        for suffix in (".mp4", ".avi", ".webm"):
            write_video(Path(f"films/{name}/b{suffix}"), clip)
    write_gif(Path("films/brighter/wrong.gif"), up[::-1])
    return Path("films")


def test_a_row_for_each_clip_with_accuracy_where_folders_are_classes(
    fades: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("films/darker/picture.png").write_bytes(b"")
    typed = Typed(capsys, "predict", fades, films)
    assert typed.code == 0
    head, *rows = typed.out.split("\n\n")[0].splitlines()
    assert head.split() == ["file", "class", "probability", "2.", "label"]
    assert [row.split()[:2] for row in rows] == [
        *([f"films/brighter/{name}", "brighter"] for name in ("a.gif", "b.avi", "b.mp4", "b.webm")),
        ["films/brighter/wrong.gif", "darker"],
        *([f"films/darker/{name}", "darker"] for name in ("a.gif", "b.avi", "b.mp4", "b.webm")),
    ]
    assert "accuracy  0.8889 (8 of 9 files in folders of a class" in typed.out
    assert "9 clips in" in typed.err
    assert "clips/s" in typed.err
    assert "these are no clips: darker/picture.png" in typed.err


def test_what_is_no_clip_is_reported_and_does_not_stop_the_rest(
    fades: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path(films, "darker", "b.mp4").read_bytes()
    Path("cut.mp4").write_bytes(whole[: len(whole) // 3])
    Path("page.gif").write_text("<html>")
    given = ["cut.mp4", "page.gif", "gone.mp4", f"{films}/darker/a.gif"]
    typed = Typed(capsys, "predict", fades, *given, "--json")
    assert typed.code == 1
    results = typed.json()["results"]
    assert [one["class"] for one in results] == [None, None, None, "darker"]
    assert results[1]["error"].startswith("The clip cannot be read: it is none of MP4, MOV, AVI, WebM")
    rows = csv.DictReader(io.StringIO(Typed(capsys, "predict", fades, *given, "--csv").out))
    assert [(row["kind"], row["frame"]) for row in rows] == [("", ""), ("", ""), ("", ""), ("clip", "")]


def test_the_frames_are_those_that_training_has_seen(model: Predictor, films: Path) -> None:
    config = DatasetConfig(
        source=str(films), frames=FRAMES, image_size=(12, 16), color="grey", test_fraction=0,
        validation_fraction=0, limit_train=None,
    )  # fmt: skip
    clips, _ = load(prepare(config, seed=0, progress=lambda *_: None)).on_disk("train")
    seen = {clip.tobytes() for clip in clips[:]}
    files = [file for file in films.rglob("*.*") if file.name != "wrong.gif"]
    assert {model.prepare(file.read_bytes()).tobytes() for file in files} == seen


def test_what_is_for_images_alone_says_so(
    fades: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = films / "darker" / "a.gif"
    for command in (
        ("predict", fades, clip, "--every", 2),
        ("predict", fades, clip, "--smooth", 3),
        ("explain", fades, clip),
        ("similar", fades, clip, "--in", films),
    ):
        typed = Typed(capsys, *command)
        assert typed.code in (1, 2)
        assert "fades takes 4 frames of each clip" in typed.err or "classifies clips of 4 frames" in typed.err
    with pytest.raises(DataError, match="The clip cannot be read"):
        predictor(open_bundle(fades)).prepare(b"\x89PNG\r\n\x1a\n")


def test_a_server_takes_arrays_of_frames_and_files_of_clips(
    fades: Path, films: Path, model: Predictor
) -> None:
    files = sorted(films.rglob("*.*"))
    pixels = np.stack([model.prepare(file.read_bytes()) for file in files])
    expected = model.predict(pixels)

    def check(predictions: list[dict[str, Any]]) -> None:
        found = np.array([one["probabilities"] for one in predictions])
        np.testing.assert_allclose(found, expected, atol=CLOSE)
        assert [one["class"] for one in predictions] == [CLASSES[index] for index in expected.argmax(axis=1)]

    command = ("-m", "harness", "serve", str(fades), "--port", "0")
    with running(*command, TF_CPP_MIN_LOG_LEVEL="3") as server:
        check(server.predict({"instances": pixels.tolist()}).json["predictions"])
        check(server.upload(*((file.name, file.read_bytes()) for file in files)).json["predictions"])
        for file, kind in (("b.mp4", "video/mp4"), ("a.gif", "image/gif")):
            reply = server.ask(
                "POST", "/predict", (films / "darker" / file).read_bytes(), {"content-type": kind}
            )
            assert reply.json["predictions"][0]["class"] == "darker"
        described = server.get("/v1/models/model/metadata").json
        signatures = described["metadata"]["signature_def"]["signature_def"]
        assert "serving_bytes" not in signatures
        sizes = signatures["serving_default"]["inputs"]["image"]["tensor_shape"]["dim"]
        assert [one["size"] for one in sizes] == ["-1", *map(str, SHAPE)]
        asked = {"signature_name": "serving_bytes", "instances": [{"b64": ""}]}
        assert "There is no signature 'serving_bytes'" in server.predict(asked).error
        assert "sent to /predict" in server.predict({"instances": [{"b64": "AAAA"}]}).error
        assert "the shape must be (N, 4, 12, 16, 1)" in server.predict({"instances": [[[1]]]}).error
        assert server.upload(("x.mp4", b"no clip")).error.startswith("'x.mp4': The clip cannot be read: ")
        wrong = server.ask("POST", "/predict", b"text", {"content-type": "text/plain"})
        assert (wrong.status, "such as video/mp4" in wrong.error) == (415, True)
        assert "at most 32 are taken" in server.predict({"instances": [0] * 33}).error
        page = server.get("/").content.decode()
        assert "Classify a clip" in page
        assert "$" not in page
