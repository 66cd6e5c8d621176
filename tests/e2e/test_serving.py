"""From a phone's photographs to a served model, exported when the photographs are gone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.test_sweep import harness

pytestmark = pytest.mark.slow

EXPERIMENT = """
name: phone
dataset: {source: photos}
training: {epochs: 8, precision: float32}
scheduler: {kind: none}
space: {depth: 2, width: 8, dropout: 0.0, optimizer: adam, learning_rate: 0.01, batch_size: 16}
"""
SCRIPT = """
import json, sys, tensorflow as tf
classify = tf.saved_model.load("bundle/saved_model/1").signatures["serving_bytes"]
files = sys.argv[1:]
answer = classify(image_bytes=tf.constant([open(file, "rb").read() for file in files]))
assert "harness" not in {name.split(".")[0] for name in sys.modules}
print(json.dumps(dict(zip(files, [name.decode() for name in answer["class"].numpy()]))))
"""


def photographs(folder: Path) -> None:
    """Bright at the top or at the left when held upright; stored by a sensor that was held four ways."""
    rng = np.random.default_rng(0)
    stored = {
        1: None,
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    for name in ("top", "left"):
        (folder / name).mkdir(parents=True)
        for number in range(32):
            pixels = rng.integers(0, 90, (32, 32, 3))
            pixels[(slice(0, 10), slice(None)) if name == "top" else (slice(None), slice(0, 10))] += 150
            image = Image.fromarray(pixels.astype(np.uint8))
            orientation, turn = list(stored.items())[number % 4]
            exif = Image.Exif()
            exif.endian = "<" if number % 8 < 4 else ">"
            exif[0x0112] = orientation
            held = image if turn is None else image.transpose(turn)
            held.save(folder / name / f"{number}.jpg", quality=95, exif=exif.tobytes())


def test_training_files_get_their_classes_from_a_bundle_made_without_them() -> None:
    photographs(Path("photos"))
    Path("phone.yaml").write_text(EXPERIMENT)
    harness("sweep", "phone.yaml", "--trials", "1", "--study", "phone", "--workers", "1")
    shutil.rmtree(os.environ["HARNESS_CACHE"])
    Path("photos").rename("archive")

    done = harness("resume", "phone", code=1)
    assert "'photos' was not found" in done.stderr
    assert "Put it back where the study phone found it, then: harness resume phone." in done.stderr
    assert "can be exported without it: harness export phone" in done.stderr

    done = harness("export", "--study", "phone", "--out", "bundle", "--formats", "saved_model")
    assert "saved_model/1 serving_bytes: 8 original files of 4 kinds and 35 drawn ones: " in done.stderr
    assert "drawn ones: pixels differ by at most 0 of 255" in done.stderr
    assert "same class on 43 of 43; refused: TIFF, PPM" in done.stderr

    files = sorted(str(file) for file in Path("archive").rglob("*.jpg"))
    served = subprocess.run(
        [sys.executable, "-c", SCRIPT, *files], capture_output=True, text=True, check=True, timeout=300
    )
    classes = json.loads(served.stdout)
    assert len(classes) == 64
    assert classes == {file: Path(file).parent.name for file in files}
