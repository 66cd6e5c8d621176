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
        Of a family's body, only the layers of `unfrozen_blocks` are trainable; its weights are not loaded.

    Raises:
        KeyError: the family is not one of `FAMILIES`.
        PluginError: the user's own builder is at fault.
    """
    if "model" in params:
        return build_plugin(params, image_shape, num_classes)
    family = FAMILIES[str(params["family"])]
    inputs = keras.Input(image_shape, name="image")
    before = preprocess(inputs, params, statistics) if family.body is None else _body(inputs, params)[0]
    return keras.Model(inputs, _logits(before, params, num_classes), name=str(params["family"]))


def build_body(params: Params, image_shape: ImageShape) -> keras.Model:
    """The part of a network whose weights come from elsewhere, without them: `Body.load` gives them.

    Args:
        params: complete parameters of a family with a body.
        image_shape: height, width, channels of the raw images.

    Returns:
        A functional model from `(H, W, C)` float32 raw pixels in 0…255 to `(F,)` float32 features.
    """
    inputs = keras.Input(image_shape, name="image")
    return keras.Model(inputs, _body(inputs, params)[0], name="body")


def unfrozen_blocks(params: Params, image_shape: ImageShape) -> list[list[str]]:
    """The names of the layers of a body that are trained, block by block, the last one first.

    Args:
        params: complete parameters of a family with a body.
        image_shape: height, width, channels of the raw images.
    """
    return _body(keras.Input(image_shape), params)[1]


def _body(inputs: keras.KerasTensor, params: Params) -> tuple[keras.KerasTensor, list[list[str]]]:
    """The features that a body makes of raw pixels, and the names of its trained layers, by block."""
    body = FAMILIES[str(params["family"])].body
    assert body is not None
    outputs = body.build(inputs, params)
    network = keras.Model(inputs, outputs)
    blocks = body.unfrozen(network, params)
    trained = {id(layer) for block in blocks for layer in block}
    for layer in network.layers:
        if id(layer) not in trained:
            layer.trainable = False
    return outputs, [[layer.name for layer in block] for block in blocks]


def build_head(params: Params, features: int, num_classes: int) -> keras.Model:
    """The part of a network that is trained on the features of a body: a sequence of layers.

    Args:
        params: complete parameters of a family with a body.
        features: how many.
        num_classes: length of the logits.

    Returns:
        A functional model from `(features,)` to `(num_classes,)`, both float32.
    """
    inputs = keras.Input((features,), name="features")
    return keras.Model(inputs, _logits(inputs, params, num_classes), name="head")


def joined(body: keras.Model, head: keras.Model, name: str) -> keras.Model:
    """One flat network of the layers of a body and a head, which share their weights with it."""
    x = body.output
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(body.input, x, name=name)


def _logits(x: keras.KerasTensor, params: Params, num_classes: int) -> keras.KerasTensor:
    features = FAMILIES[str(params["family"])].features(x, params)
    return keras.layers.Dense(num_classes, name="logits")(features)


def with_probabilities(network: keras.Model) -> keras.Model:
    """The same layers and weights, followed by a softmax: what is saved and served."""
    outputs = keras.layers.Softmax(name="probabilities")(network.output)
    return keras.Model(network.input, outputs, name=network.name)


def with_temperature(network: keras.Model, temperature: float) -> keras.Model | None:
    """A saved network whose logits are divided by a temperature, with the same weights.

    Args:
        network: of `with_probabilities`.
        temperature: above 0.

    Returns:
        Stock layers; None if the network does not end with a softmax.
    """
    last = network.layers[-1]
    if not isinstance(last, keras.layers.Softmax):
        return None
    cooled = keras.layers.Rescaling(1 / temperature, name="temperature")(last.input)
    outputs = keras.layers.Softmax(name=last.name)(cooled)
    return keras.Model(network.input, outputs, name=network.name)
