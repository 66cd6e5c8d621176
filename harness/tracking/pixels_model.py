"""Loads a model for MLflow's `pyfunc`: it takes raw pixels of any number type, as an array or a list.

This file travels inside every model that is logged to MLflow (in its `code` folder, from where MLflow imports
it), so it uses nothing but MLflow and NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from mlflow import keras as mlflow_keras
from mlflow.exceptions import MlflowException


class PixelsModel:
    """A Keras network behind the interface that `mlflow.pyfunc` expects."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._shape: tuple[int, int, int] = tuple(network.input_shape[1:])

    def get_raw_model(self) -> Any:
        """The Keras network."""
        return self._network

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> npt.NDArray[np.float32]:
        """Probabilities float32 (N, K).

        Args:
            data: images (N, H, W, C) of raw pixels, 0 to 255: an array of any number type, nested lists, a
                dictionary with one of these, or a table with one image a row.
            params: not used.

        Raises:
            MlflowException: it is no batch of images of the model's shape.
        """
        found: npt.NDArray[np.float32] = np.asarray(
            self._network.predict(_images(data, self._shape), verbose=0), np.float32
        )
        return found


def _images(data: Any, shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """The pixels that a request holds, as float32 (N, H, W, C)."""
    height, width, channels = shape
    if isinstance(data, dict) and len(data) == 1:
        (data,) = data.values()
    if hasattr(data, "columns"):  # a table: one column of images, or a column for each value
        rows = data.to_numpy()
        data = [np.reshape(_numbers(row[0] if len(row) == 1 else row), -1) for row in rows]
        images = _numbers(data)
        if images.ndim == 2 and images.shape[1] == height * width * channels:
            return images.reshape(-1, height, width, channels)
    else:
        images = _numbers(data)
    if images.shape[1:] != (height, width, channels):
        raise MlflowException.invalid_parameter_value(
            f"The model takes images as numbers of the shape (N, {height}, {width}, {channels}), raw pixels "
            f"from 0 to 255; this has the shape {images.shape}."
        )
    return images


def _numbers(data: Any) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(data, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise MlflowException.invalid_parameter_value(
            f"The model takes images as numbers, an array or nested lists of one size: {error}."
        ) from error


def _load_pyfunc(path: str) -> PixelsModel:
    """Called by `mlflow.pyfunc.load_model` with the model's folder."""
    return PixelsModel(mlflow_keras.load_model(path))
