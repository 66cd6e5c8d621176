"""A sweep over heads on a pretrained network: features are computed once, and the models are whole."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

FULL = os.environ.get("HARNESS_TESTS") == "full"

EXPERIMENT = """
name: heads
dataset: {source: pictures, image_size: 40}
training: {epochs: 3, precision: float32}
scheduler: {kind: none}
space:
  family: pretrained
  backbone: BACKBONE
  image_size: 64
  views: 2
  dropout: {type: float, low: 0.0, high: 0.3}
"""


def draw(images: int = 40) -> None:
    """Three classes of pictures that differ in their colour, each picture another one."""
    rng = np.random.default_rng(0)
    for label, colour in enumerate(("red", "green", "blue")):
        folder = Path("pictures") / colour
        folder.mkdir(parents=True)
        for number in range(images):
            pixels = rng.integers(0, 120, (40, 36, 3), np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")


def harness(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | environment,
    )


def events(study: str, kind: str) -> list[dict[str, Any]]:
    (log,) = Path().rglob(f"{study}/events.jsonl")
    lines = (json.loads(line) for line in log.read_text().splitlines())
    found = (line.get("event", line) for line in lines)
    return [event for event in found if event.get("kind") == kind]


def computed(study: str) -> int:
    return sum(event["computed"] for event in events(study, "features_ready"))


def sweep(study: str, *more: str, trials: int = 1) -> subprocess.CompletedProcess[str]:
    done = harness("sweep", "heads.yaml", "--trials", str(trials), "--study", study, *more)
    assert done.returncode == 0, done.stderr
    return done


def test_features_are_computed_once_and_the_model_is_whole() -> None:
    draw()
    Path("heads.yaml").write_text(EXPERIMENT.replace("BACKBONE", "efficientnet_lite0"))
    said = sweep("first", trials=3).stderr
    (dataset,) = (event["dataset"] for event in events("first", "study_started"))
    counts = dataset["counts"]
    wanted = 2 * counts["train"] + counts["validation"]
    assert counts["test"] > 0
    assert computed("first") == wanted
    assert "images/s)" in said
    assert len({event["digest"] for event in events("first", "features_ready")}) == 1

    exported = harness("export", "first", "--out", "shipped")
    assert exported.returncode == 0, exported.stderr
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('shipped/model.keras', safe_mode=True)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'harness']\n"
        "assert not any(isinstance(layer, keras.Model) for layer in model.layers)\n"
        "red = np.full((1, *model.input_shape[1:]), 50.0); red[..., 0] += 100\n"
        "print(model.input_shape, np.round(np.asarray(model(red)).sum(), 3))\n"
    )
    loaded = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert loaded.stdout.split() == ["(None,", "40,", "40,", "3)", "1.0"], loaded.stderr

    sweep("split", "--set", "seed=5")
    assert computed("split") < wanted / 2, "another study only misses what its split did not hold out"
    Image.new("RGB", (36, 40), (250, 10, 10)).save("pictures/red/000.png")
    sweep("changed")
    assert computed("changed") == wanted, "a changed image is noticed"


def test_a_backbone_is_unfrozen_at_the_last_rung_and_the_study_holds_together() -> None:
    draw()
    text = EXPERIMENT.replace("BACKBONE", "efficientnet_lite0").replace(
        "{kind: none}", "{kind: asha, min_epochs: 1, reduction: 3}"
    )
    Path("heads.yaml").write_text(text + "  unfreeze: 2\n  augmentation: flip\n")
    sweep("tuned", trials=3)
    epochs = [(event["trial"], event["epoch"]) for event in events("tuned", "epoch_ended")]
    assert sorted(epoch for _, epoch in epochs) == [1, 1, 1, 2, 3]
    (saved,) = events("tuned", "model_saved")
    assert sorted(event["attempt"] for event in events("tuned", "checkpoint_saved")) == [1, 1, 1, 2]
    assert (saved["trial"], 3) in epochs
    verified = harness("verify", "tuned")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    exported = harness("export", "tuned", "--out", "tuned-bundle", "--formats", "saved_model")
    assert exported.returncode == 0, exported.stderr
    again = harness("reproduce", str(saved["trial"]), "--study", "tuned", "--json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found["verdict"] == "identical", found
    assert (found["epochs"]["identical"], found["epochs"]["states_identical"]) == (3, 2)
    assert found["weights"]["identical"]


def test_a_sweep_that_is_killed_while_features_are_computed_goes_on_with_them() -> None:
    draw(120)
    Path("heads.yaml").write_text(EXPERIMENT.replace("BACKBONE", "efficientnet_lite0"))
    command = [sys.executable, "-m", "harness", "sweep", "heads.yaml", "--trials", "3", "--study", "killed"]
    process = subprocess.Popen(
        [*command, "--set", "space.image_size=160"], start_new_session=True, stderr=subprocess.PIPE
    )
    blocks = Path(os.environ["HARNESS_CACHE"])
    deadline = time.monotonic() + 120
    while len(list(blocks.rglob("features/*/*/*.npy"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = sum(int(np.isfinite(np.load(file)[:, 0]).sum()) for file in blocks.rglob("features/*/*/*.npy"))
    assert kept > 0
    sweep("killed", "--set", "space.image_size=160", trials=3)
    counts = events("killed", "study_started")[0]["dataset"]["counts"]
    assert computed("killed") <= 2 * counts["train"] + counts["validation"] - kept


def own_model(file: str) -> None:
    """A model with random weights for pictures of 40×40 pixels."""
    pixels = keras.Input((40, 40, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(pixels, keras.layers.Dense(3, name="last")(x)).save(file)


@pytest.mark.skipif(not FULL, reason="runs in make test-full")
def test_a_study_on_a_model_of_ones_own_is_kept_from_another_and_read_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on from any folder, while the file is what it was."""
    draw(8)
    own_model("mine.keras")
    where = Path.cwd()
    monkeypatch.setenv("HARNESS_HOME", str(where / ".harness"))
    text = EXPERIMENT.replace("BACKBONE", "mine.keras").replace("pictures", str(where / "pictures"))
    Path("heads.yaml").write_text(text)
    told = sweep("own").stderr
    assert "space.image_size: it has no effect with the backbone " in told
    began = events("own", "study_started")[0]
    digest = hashlib.sha256(Path("mine.keras").read_bytes()).hexdigest()
    assert began["weights"] == {str(Path("mine.keras").resolve()): digest}

    kept = Path("mine.keras").read_bytes()
    own_model("mine.keras")
    replaced = harness("resume", "own", "--trials", "2")
    assert replaced.returncode == 1
    assert "mine.keras are not those that the study own began with" in replaced.stderr
    Path("mine.keras").unlink()
    gone = harness("resume", "own", "--trials", "2")
    assert gone.returncode == 1
    assert "mine.keras cannot be read: No such file or directory" in gone.stderr
    assert len(events("own", "study_started")) == 1, "nothing was begun"

    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    for command in (
        ("leaderboard", "own"),
        ("export", "own", "--out", "shipped", "--formats", "saved_model"),
    ):
        read = harness(*command)
        assert read.returncode == 0, read.stderr
    (where / "mine.keras").write_bytes(kept)
    gone_on = harness("resume", "own", "--trials", "2")
    assert gone_on.returncode == 0, gone_on.stderr
    monkeypatch.chdir(where)
    assert len({event["digest"] for event in events("own", "features_ready")}) == 1
    counts = began["dataset"]["counts"]
    assert computed("own") == 2 * counts["train"] + counts["validation"]


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("efficientnet", "'efficientnet' is not one of efficientnet_lite0"),
        ("./mine.keras", "there is no file or folder './mine.keras'"),
    ],
)
def test_weights_that_are_not_to_be_had_are_a_sentence(backbone: str, message: str, tmp_path: Path) -> None:
    draw(8)
    Path("heads.yaml").write_text(EXPERIMENT.replace("BACKBONE", backbone))
    home = str(tmp_path / "keras")
    proxies = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = harness("sweep", "heads.yaml", "--study", "none", KERAS_HOME=home, **proxies)
    assert done.returncode not in (0, 130)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(Path().rglob("none/events.jsonl")), "nothing was begun"
