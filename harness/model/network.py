"""Whole networks: from raw pixels to logits, and with a softmax behind for saving."""

from __future__ import annotations

import keras

from harness.model.families import FAMILIES
from harness.model.plugin import build_plugin
from harness.model.preprocessing import PixelStatistics, preprocess
from harness.records import Params

ImageShape = tuple[int, int, int]


def build(
    params: Params, image_shape: ImageShape, num_classes: int, statistics: PixelStatistics
) -> keras.Model:
    """The network that the parameters describe, uncompiled.

    Args:
        params: complete parameters (see `harness.experiment.parameters.complete`).
        image_shape: height, width, channels of the raw images.
        num_classes: length of the logits.
        statistics: of the training images.

    Returns:
        A functional model from `(H, W, C)` float32 raw pixels in 0…255 to `(num_classes,)` float32 logits.

    Raises:
        KeyError: the family is not one of `FAMILIES`.
        PluginError: the user's own builder is at fault.
    """
    if "model" in params:
        return build_plugin(params, image_shape, num_classes)
    family = str(params["family"])
    inputs = keras.Input(image_shape, name="image")
    features = FAMILIES[family].features(preprocess(inputs, params, statistics), params)
    logits = keras.layers.Dense(num_classes, name="logits")(features)
    return keras.Model(inputs, logits, name=family)


def with_probabilities(network: keras.Model) -> keras.Model:
    """The same layers and weights, followed by a softmax: what is saved and served."""
    outputs = keras.layers.Softmax(name="probabilities")(network.output)
    return keras.Model(network.input, outputs, name=network.name)
