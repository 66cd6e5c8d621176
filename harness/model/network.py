"""Whole networks: from raw pixels to logits, and with a softmax behind for saving."""

from __future__ import annotations

import keras

from harness.model.clips import apart, averaged, together
from harness.model.families import FAMILIES
from harness.model.plugin import build_plugin
from harness.model.preprocessing import PixelStatistics, preprocess
from harness.records import Params

ImageShape = tuple[int, ...]
"""Of what a network is given: height, width and channels of an image; of a clip, the number of frames before
them."""


def frames_in(image_shape: ImageShape) -> int:
    """The frames of a clip; 0 if these are images."""
    return image_shape[0] if len(image_shape) > 3 else 0


def build(
    params: Params, image_shape: ImageShape, num_classes: int, statistics: PixelStatistics
) -> keras.Model:
    """The network that the parameters describe, uncompiled.

    Args:
        params: complete parameters (see `harness.experiment.parameters.complete`).
        image_shape: height, width, channels of the raw images; of clips, before them the frames.
        num_classes: length of the logits.
        statistics: of the training images.

    Returns:
        A functional model from `(H, W, C)` float32 raw pixels in 0…255, or `(T, H, W, C)` of clips, to
        `(num_classes,)` float32 logits.
        Of a family's body, only the layers of `unfrozen_blocks` are trainable; its weights are not loaded.

    Raises:
        KeyError: the family is not one of `FAMILIES`.
        PluginError: the user's own builder is at fault.
    """
    if "model" in params:
        return build_plugin(params, image_shape, num_classes)
    family = FAMILIES[str(params["family"])]
    inputs = keras.Input(image_shape, name="image")
    before = (
        preprocess(_pictures(inputs), params, statistics) if family.body is None else _body(inputs, params)[0]
    )
    logits = _logits(before, params, num_classes, frames_in(image_shape))
    return keras.Model(inputs, logits, name=str(params["family"]))


def build_body(params: Params, image_shape: ImageShape) -> keras.Model:
    """The part of a network whose weights come from elsewhere, without them: `Body.load` gives them.

    Args:
        params: complete parameters of a family with a body.
        image_shape: height, width, channels of the raw images; of clips, before them the frames.

    Returns:
        A functional model from `(H, W, C)` float32 raw pixels in 0…255 to `(F,)` float32 features; from
        `(T, H, W, C)` of clips to `(T · F,)`, those of one frame after the other.
    """
    inputs = keras.Input(image_shape, name="image")
    features, frames = _body(inputs, params)[0], frames_in(image_shape)
    if frames:
        features = keras.ops.reshape(features, (-1, frames * features.shape[1]))
    return keras.Model(inputs, features, name="body")


def unfrozen_blocks(params: Params, image_shape: ImageShape) -> list[list[str]]:
    """The names of the layers of a body that are trained, block by block, the last one first.

    Args:
        params: complete parameters of a family with a body.
        image_shape: height, width, channels of the raw images; of clips, before them the frames.
    """
    return _body(keras.Input(image_shape), params)[1]


def _body(inputs: keras.KerasTensor, params: Params) -> tuple[keras.KerasTensor, list[list[str]]]:
    """The features that a body makes of images or frames, and the names of its trained layers, by block."""
    body = FAMILIES[str(params["family"])].body
    assert body is not None
    outputs = body.build(_pictures(inputs), params)
    network = keras.Model(inputs, outputs)
    blocks = body.unfrozen(network, params)
    trained = {id(layer) for block in blocks for layer in block}
    for layer in network.layers:
        if id(layer) not in trained:
            layer.trainable = False
    return outputs, [[layer.name for layer in block] for block in blocks]


def _pictures(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Images (N, H, W, C) as they are; of clips (N, T, H, W, C) the frames (N·T, H, W, C)."""
    return apart(inputs) if len(inputs.shape) > 4 else inputs


def build_head(params: Params, features: int, num_classes: int, frames: int = 0) -> keras.Model:
    """The part of a network that is trained on the features of a body: a sequence of layers.

    Args:
        params: complete parameters of a family with a body.
        features: how many.
        num_classes: length of the logits.
        frames: of a clip, whose features come one after the other; 0: these are images.

    Returns:
        A functional model from `(features,)` to `(num_classes,)`, both float32.
    """
    inputs = keras.Input((features,), name="features")
    by_frame = keras.ops.reshape(inputs, (-1, features // frames)) if frames else inputs
    return keras.Model(inputs, _logits(by_frame, params, num_classes, frames), name="head")


def joined(body: keras.Model, head: keras.Model, name: str) -> keras.Model:
    """One flat network of the layers of a body and a head, which share their weights with it."""
    # Not only its layers: between those of clips are operations that are none.
    return keras.Model(body.input, head._run_through_graph(body.output), name=name)


def _logits(x: keras.KerasTensor, params: Params, num_classes: int, frames: int) -> keras.KerasTensor:
    """Logits of images, or of clips.

    Args:
        x: scaled pixels or features of images; or of clips' frames, one after the other.
        params: complete parameters.
        num_classes: how many.
        frames: of a clip; 0: these are images.
    """
    family = FAMILIES[str(params["family"])]
    logits = keras.layers.Dense(num_classes, name="logits")
    if not frames:
        return logits(family.features(x, params))
    reader = family.clips(params)
    if reader is None:
        return averaged(logits(family.features(x, params)), frames)
    return logits(reader.sequence(together(reader.frame(x, params), frames), params))


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
