"""The model as a server runs it: one graph, traced once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harness.serving.server.batching import Model


def compiled(network: Any, example_shape: tuple[int, ...]) -> Model:
    """A network as a function of raw pixels, which no number of images makes trace again.

    Args:
        network: the `keras.Model`, from raw pixels float32 (N, …) to probabilities (N, K).
        example_shape: height, width, channels of an image; of a clip, before them the frames.
    """
    import tensorflow as tf

    traced = tf.function(
        lambda images: network(images, training=False), autograph=False
    ).get_concrete_function(tf.TensorSpec((None, *example_shape), tf.float32))

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        probabilities: npt.NDArray[np.float32] = traced(tf.constant(images)).numpy()
        return probabilities

    return run
