"""What lies around harness (files, settings, a container) has no influence on what it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

STANDARD = [
    "random", "queue", "types", "keras", "numpy", "json", "tempfile", "socket", "signal", "tensorflow", "PIL",
    "optuna", "mlflow", "psutil", "pydantic", "multiprocessing", "hashlib", "copy",
]  # fmt: skip
TINY = """\
name: tiny
dataset: {source: digits}
training: {epochs: 2, precision: float32}
scheduler: {kind: none}
space: {depth: 1, width: 4, learning_rate: 0.01}
"""


def harness(*arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """The console script itself, whose `sys.path` does not begin with the working directory."""
    script = Path(sys.executable).with_name("harness")
    done = subprocess.run(
        [str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def draw(folder: str, images: int) -> None:
    """Two classes of tiny images, as many as are decoded by several processes."""
    rng = np.random.default_rng(0)
    for label in ("left", "right"):
        (Path(folder) / label).mkdir(parents=True)
        for number in range(images // 2):
            pixels = rng.integers(0, 90, (6, 6), np.uint8)
            pixels[:, :3] += np.uint8(150 * (label == "left"))
            Image.fromarray(pixels).save(Path(folder) / label / f"{number}.png")


def test_files_in_the_working_folder_are_not_run() -> None:
    """Neither by workers, nor by processes that decode images or measure, nor by what is exported with."""
    for name in STANDARD:
        Path(f"{name}.py").write_text(f"open('run-{name}', 'w').close()\n")
    draw("pictures", 1100)
    Path("tiny.yaml").write_text(TINY)
    harness(
        "sweep", "tiny.yaml", "--dataset", "pictures", "--trials", "2", "--workers", "auto", "--study", "s"
    )
    harness("export", "--study", "s")
    harness("verify", "s")
    assert list(Path.cwd().glob("run-*")) == []


def test_the_users_settings_of_keras_change_nothing(tmp_path: Path) -> None:
    """Channels first, another float type and another backend: the same numbers as without them."""
    home = tmp_path / "keras"
    home.mkdir()
    (home / "keras.json").write_text(
        json.dumps(
            {"floatx": "float64", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}
        )
    )
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = rng.integers(0, 90, (120, 3, 3, 3), np.uint8)
    images[labels == 1] += np.uint8(150)
    np.savez("square.npz", x=images, y=labels)
    Path("tiny.yaml").write_text(TINY)
    command = ["sweep", "tiny.yaml", "--dataset", "square.npz", "--trials", "1", "--study"]
    harness(*command, "plain")
    changed = {"KERAS_HOME": str(home), "KERAS_BACKEND": "torch"}
    harness(*command, "changed", **changed)
    boards = [json.loads(harness("leaderboard", name, "--json").stdout) for name in ("plain", "changed")]
    for (row,) in boards:
        del row["seconds"]
    assert boards[0] == boards[1]
    harness("export", "--study", "changed", "--formats", "saved_model,onnx", **changed)
    assert harness("verify", "changed", **changed).stdout.count("  ok  ") == 7


def test_settings_that_keras_cannot_be_imported_with_are_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "float7"}))
    Path("tiny.yaml").write_text(TINY)
    done = harness("sweep", "tiny.yaml", "--trials", "1", code=1, KERAS_HOME=str(tmp_path))
    assert str(tmp_path / "keras.json") in done.stderr
    assert "float7" in done.stderr
