"""A `.tflite` file by LiteRT on the CPU; run by `run.py`, with NumPy and ai-edge-litert alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter


def open_model(file: str) -> dict[str, Callable[[npt.NDArray[np.uint8]], dict[str, npt.NDArray[np.float32]]]]:
    """The one entry of the model, from `image` to `probabilities`."""
    interpreter = Interpreter(model_path=file)
    image = interpreter.get_input_details()[0]["index"]
    probabilities = interpreter.get_output_details()[0]["index"]
    shape: list[tuple[int, ...]] = []

    def predict(images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        if shape != [images.shape]:
            interpreter.resize_tensor_input(image, images.shape)
            interpreter.allocate_tensors()
            shape[:] = [images.shape]
        interpreter.set_tensor(image, images.astype(np.float32))
        interpreter.invoke()
        return {"probabilities": interpreter.get_tensor(probabilities)}

    return {"": predict}
