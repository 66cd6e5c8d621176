"""Which layers of a network show how it comes to its answer."""

from __future__ import annotations

from typing import Any

from harness.errors import ServingError


def score_tensor(network: Any) -> Any:
    """The scores (N, K) of the classes before the softmax, where that is a layer; else the probabilities."""
    import keras

    last = network.layers[-1]
    return last.input if isinstance(last, keras.layers.Softmax) else network.output


def feature_map(network: Any) -> tuple[str, Any]:
    """The name and the output (N, h, w, c) of the layer that ends the last convolution.

    A convolution's normalisation and activation are layers behind it, of the same height and width; a pooling
    that follows them is not.

    Raises:
        ServingError: the network has no convolution.
    """
    import keras

    convolutions = (
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
    )
    places = [at for at, layer in enumerate(network.layers) if isinstance(layer, convolutions)]
    if not places:
        raise ServingError(
            f"The network {network.name} has no convolution, whose output Grad-CAM looks at, so it cannot be "
            "shown where it looks. Families with one are cnn, resnet, baseline and pretrained."
        )
    found = network.layers[places[-1]]
    for layer in network.layers[places[-1] + 1 :]:
        shape = getattr(layer.output, "shape", None)
        if shape is None or len(shape) != 4 or shape[1:3] != found.output.shape[1:3]:
            break
        found = layer
    return found.name, found.output


def embedding_tensor(network: Any) -> Any:
    """What the last dense layer is given, (N, E): the features by which the network tells classes apart.

    Raises:
        ServingError: the network has no dense layer.
    """
    import keras

    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    if not dense or len(dense[-1].input.shape) != 2:
        raise ServingError(
            f"The network {network.name} has no dense layer at its end, whose input images are compared by."
        )
    return dense[-1].input
