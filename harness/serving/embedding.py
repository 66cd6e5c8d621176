"""The features of images: what a network tells its classes apart by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.serving.classify import batch_size
from harness.serving.layers import embedding_tensor
from harness.serving.predictor import Images, Predictor

Embeddings = npt.NDArray[np.float32]


class Embedder:
    """From pixels to features."""

    def __init__(self, model: Predictor) -> None:
        """`model`: whose network is used; raises ServingError if it has no features."""
        import keras

        self.model = model
        self._network = keras.Model(model.network.input, embedding_tensor(model.network))

    def __call__(self, images: Images) -> Embeddings:
        """Features float32 (N, E), of length 1 each, of pixels uint8 (N, H, W, C)."""
        found = self._network(images.astype(np.float32), training=False).numpy().astype(np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        unit: Embeddings = found / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit


def embedded(
    embedder: Embedder, files: Sequence[Path], seen: Callable[[int], object]
) -> tuple[Embeddings, list[str]]:
    """Features of the files that can be read, and for every file why it cannot be, empty if it can.

    Args:
        embedder: with the model.
        files: of images.
        seen: told, again and again, how many more files were looked at.
    """
    size, reasons = batch_size(embedder.model.example_shape), []
    parts: list[Embeddings] = []
    for start in range(0, len(files), size):
        pixels = []
        for file in files[start : start + size]:
            try:
                pixels.append(embedder.model.prepare(file.read_bytes()))
                reasons.append("")
            except DataError as error:
                reasons.append(str(error))
            except OSError as error:
                reasons.append(f"The file cannot be read: {error.strerror or error}.")
        if pixels:
            parts.append(embedder(np.stack(pixels)))
        seen(len(files[start : start + size]))
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32), reasons
