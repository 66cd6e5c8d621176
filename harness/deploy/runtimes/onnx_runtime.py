"""An ONNX file by onnxruntime on the CPU; run by `run.py`, with NumPy and onnxruntime alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime


def open_model(file: str) -> dict[str, Callable[[npt.NDArray[np.uint8]], dict[str, npt.NDArray[np.float32]]]]:
    """The one entry of the model, from `image` to `probabilities`."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def predict(images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        (found,) = session.run(["probabilities"], {"image": images.astype(np.float32)})
        return {"probabilities": found}

    return {"": predict}
