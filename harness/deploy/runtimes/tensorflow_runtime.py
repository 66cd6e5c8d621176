"""A SavedModel by TensorFlow's own loader; run by `run.py`, without Keras and harness."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# TensorFlow imports Keras where it finds it, which a SavedModel must not need.
sys.modules["keras"] = None  # type: ignore[assignment]
import tensorflow as tf  # noqa: E402


def open_model(folder: str) -> dict[str, Callable[[npt.NDArray[np.uint8]], dict[str, npt.NDArray[Any]]]]:
    """The signatures that take pixels, `serving_default` first."""
    signatures = tf.saved_model.load(folder).signatures
    takes = {name: one.structured_input_signature[1].get("image") for name, one in signatures.items()}
    names = sorted(
        (name for name, spec in takes.items() if spec is not None), key=lambda name: "default" not in name
    )
    return {name: _predict(signatures[name], takes[name].dtype.as_numpy_dtype) for name in names}


def _predict(signature: Any, kind: Any) -> Callable[[npt.NDArray[np.uint8]], dict[str, npt.NDArray[Any]]]:
    def predict(images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        answer = signature(image=tf.constant(images.astype(kind)))
        return {
            name: value.numpy().astype(np.bytes_) if value.dtype == tf.string else value.numpy()
            for name, value in answer.items()
        }

    return predict
