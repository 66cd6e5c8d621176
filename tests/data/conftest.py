"""Small images, drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture
def draw() -> Draw:
    """`draw(path, seed=…, size=…, mode=…, **save_options)` writes a random image."""

    def make(
        path: str | Path,
        *,
        seed: int = 0,
        size: tuple[int, int] = (12, 10),
        mode: str = "RGB",
        **options: object,
    ) -> Path:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = {"L": (), "RGB": (3,), "RGBA": (4,), "LA": (2,), "CMYK": (4,)}[mode]
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels)).astype(np.uint8)
        Image.fromarray(pixels, mode=mode).save(path, **options)
        return path

    return make


@pytest.fixture
def pets(draw: Draw) -> Path:
    """Two classes of ten images each, as class folders."""
    for label, name in enumerate(("cat", "dog")):
        for index in range(10):
            draw(f"pets/{name}/{index}.png", seed=100 * label + index)
    return Path("pets")
