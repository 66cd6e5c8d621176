"""Small pictures for a page, inside of it."""

from __future__ import annotations

import base64
import io

import numpy as np

from harness.audit.facts import Facts

SIDE = 96
"""Pixels of the longer side."""
SMALLEST = 48
"""Smaller pictures are shown enlarged."""
QUALITY = 80


def data_uri(facts: Facts, number: int) -> str:
    """An image as a sweep sees it, or the frame in the middle of a clip, as a `data:` URI of a few KiB.

    It is upright and in its own proportions.
    """
    from PIL import Image

    pixels = np.asarray(facts.pixels(number))
    if pixels.ndim > 3:
        pixels = pixels[len(pixels) // 2]
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    height, width = facts.images[number].size
    scale = SIDE / max(height, width, 1)
    if max(pixels.shape[:2]) < SMALLEST:
        picture = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    elif height and width:
        picture = picture.resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
        )
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
