"""Pictures for people: an image file upright and in its own proportions, no larger than it has to be."""

from __future__ import annotations

import base64
import io

import numpy as np

from harness.data.decode import UnreadableError, decode, read_header
from harness.errors import DataError
from harness.serving.predictor import Images
from harness.serving.source import ModelSource

QUALITY = 85


def view_of(content: bytes, source: ModelSource, side: int) -> Images:
    """An image file's pixels, uint8 (H, W, 3), as training sees them but for the size.

    Args:
        content: the file's bytes.
        source: the model, which says how deep files are read.
        side: pixels that the longer side is to have.

    Raises:
        DataError: it is no image that is read.
    """
    try:
        header = read_header(content, source.max_pixels)
        scale = side / max(header.height, header.width)
        size = max(1, round(header.height * scale)), max(1, round(header.width * scale))
        return decode(content, size, 3, source.pixel_range, source.max_pixels).pixels
    except UnreadableError as error:
        raise DataError(f"The image cannot be read: {error}.") from error


def data_uri(pixels: Images) -> str:
    """Pixels uint8 (H, W, 3) as a JPEG inside a page."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
