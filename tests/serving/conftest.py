"""Bundles of a network that tells red, green and blue pictures apart, whose weights are set by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from harness.deploy.checksums import write_checksums

CLASSES = ("blue", "green", "red")
COLOURS = {"blue": (20, 30, 200), "green": (30, 180, 40), "red": (220, 25, 30)}


def save_network(file: Path) -> None:
    """From pixels (12, 16, 3) to the share of each colour, sharpened."""
    import keras

    image = keras.Input((12, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    conv = keras.layers.Conv2D(3, 1, use_bias=False, name="colours")
    x = keras.layers.GlobalAveragePooling2D()(conv(x))
    conv.set_weights([np.eye(3, dtype=np.float32)[None, None]])
    dense = keras.layers.Dense(3, use_bias=False)
    scores = dense(x)
    dense.set_weights([8 * np.eye(3, dtype=np.float32)[::-1]])
    keras.Model(image, keras.layers.Softmax()(scores)).save(file)


def metadata(**of_input: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "input": {"height": 12, "width": 16, "channels": 3, "color": "rgb"} | of_input,
        "output": {"kind": "probabilities", "classes": list(CLASSES)},
        "provenance": {"study": "colours", "trial": 3},
    }


def write_bundle(
    folder: Path, model: bytes, described: dict[str, Any], *, name: str = "metadata.yaml"
) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(model)
    (folder / "labels.txt").write_text("".join(f"{one}\n" for one in described["output"]["classes"]))
    write = json.dumps if name.endswith(".json") else yaml.safe_dump
    (folder / name).write_text(write(described))
    (folder / "saved_model" / "1").mkdir(parents=True)
    (folder / "saved_model" / "1" / "saved_model.pb").write_bytes(b"a graph")
    write_checksums(folder)
    return folder


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A bundle whose model is never loaded."""
    return write_bundle(tmp_path / "sealed", b"weights", metadata())


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that classifies; not to be changed."""
    folder = tmp_path_factory.mktemp("bundles")
    save_network(folder / "model.keras")
    return write_bundle(folder / "colours", (folder / "model.keras").read_bytes(), metadata())


def paint(file: Path, colour: str, seed: int = 0, size: tuple[int, int] = (30, 24), **options: Any) -> Path:
    """A noisy picture of one colour; `size` is (width, height)."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(COLOURS[colour], 12, (size[1], size[0], 3)).clip(0, 255)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(file, **options)
    return file


def film(file: Path, pictures: list[Any], frames: int, size: tuple[int, int] = (64, 48)) -> Path:
    """A video of 10 frames a second: so many of each picture, which is a colour's name or uint8 (H, W, 3)."""
    import av

    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(file.suffix, "libx264")
    file.parent.mkdir(parents=True, exist_ok=True)
    drawn = [
        np.full((size[1], size[0], 3), COLOURS[one], np.uint8) if isinstance(one, str) else one
        for one in pictures
    ]
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *drawn[0].shape[:2], "yuv420p"
        for pixels in drawn:
            for _ in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return file
