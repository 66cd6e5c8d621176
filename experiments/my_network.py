"""An example of a network of one's own, for `experiments/plugin.yaml`."""

from __future__ import annotations

from typing import Any

import keras


def build(params: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Separable convolutions with an optional squeeze-and-excitation, from raw pixels to logits."""
    inputs = keras.Input(image_shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for _ in range(2):
        x = keras.layers.SeparableConv2D(params["filters"], 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    if params["squeeze"]:
        weights = keras.layers.GlobalAveragePooling2D()(x)
        weights = keras.layers.Dense(params["filters"], activation="sigmoid")(weights)
        x = keras.layers.Multiply()([x, keras.layers.Reshape((1, 1, params["filters"]))(weights)])
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(params["dropout"])(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))
