"""What a `keras.Model` predicts for raw pixels, where TensorFlow runs by default or on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Probabilities = npt.NDArray[np.float32]

BATCH = 32
"""Images that are predicted at a time."""


def predict(network: Any, images: Images) -> Probabilities:
    """The probabilities float32 (N, K) for images or clips uint8 (N, …), on a GPU if there is one."""
    import numpy as np

    parts = [
        network(images[start : start + BATCH].astype("float32")).numpy()
        for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(parts)


def predict_on_cpu(network: Any, images: Images) -> Probabilities:
    """The same on the CPU, as the runtimes of exported models do: GPUs may compute with fewer digits."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return predict(network, images)
