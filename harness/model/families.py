"""The built-in model families: plain Keras networks from raw pixels to logits.

Every builder takes `(params, image_shape, num_classes)` and returns an uncompiled functional
`keras.Model` with input `(H, W, C)` float32 raw pixels in 0…255 and output `(num_classes,)` float32
logits. Only stock layers are used, so that a saved model loads without harness. L1, L2 and weight
decay are not part of the network: the training step applies them.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from harness.records import Params

ImageShape = tuple[int, int, int]
Builder = Callable[[Params, ImageShape, int], keras.Model]

MAX_FILTERS = 512

# Keras's default of 0.99 needs hundreds of steps before the moving statistics mean anything:
# after a short training, validation would still be at chance.
BATCH_NORM_MOMENTUM = 0.9


def build(params: Params, image_shape: ImageShape, num_classes: int) -> keras.Model:
    """The network that `params["family"]` and its architecture parameters describe.

    Args:
        params: complete parameters (see `harness.experiment.parameters.complete`).
        image_shape: height, width, channels of the raw images.
        num_classes: length of the logits.

    Raises:
        KeyError: the family is not one of `FAMILIES`.
    """
    return FAMILIES[str(params["family"])](params, image_shape, num_classes)


def cnn(params: Params, image_shape: ImageShape, num_classes: int) -> keras.Model:
    """`depth` blocks of convolution, optional batch norm, ReLU, 2×2 max pooling and dropout.

    The number of filters starts at `width` and doubles after each pooling, up to 512. Pooling stops
    before a side of the feature map would fall below 2 pixels, so that any depth fits any image.
    """
    inputs = keras.Input(image_shape, name="image")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
    filters = int(params["width"])
    batch_norm = bool(params["batch_norm"])
    for block in range(1, int(params["depth"]) + 1):
        x = keras.layers.Conv2D(
            filters,
            int(params["kernel_size"]),
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer="he_normal",
            name=f"conv{block}",
        )(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"norm{block}")(x)
        x = keras.layers.ReLU(name=f"relu{block}")(x)
        if min(x.shape[1], x.shape[2]) >= 4:
            x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
            filters = min(2 * filters, MAX_FILTERS)
        x = keras.layers.Dropout(float(params["dropout"]), name=f"dropout{block}")(x)
    if params["head"] == "flatten":
        x = keras.layers.Flatten(name="flatten")(x)
    else:
        x = keras.layers.GlobalAveragePooling2D(name="global_pool")(x)
    logits = keras.layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="cnn")


def baseline(_: Params, image_shape: ImageShape, num_classes: int) -> keras.Model:
    """The network of the classic CIFAR-10 tutorial: two convolutions and two dense layers.

    Convolution 32, pooling, convolution 64, pooling, dense 64, dense `num_classes`. The output is
    logits; the tutorial's own softmax before a loss on logits would squash the gradient twice.
    """
    inputs = keras.Input(image_shape, name="image")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
    for block, filters in enumerate((32, 64), start=1):
        padding = "valid" if min(x.shape[1], x.shape[2]) >= 6 else "same"
        x = keras.layers.Conv2D(filters, 3, padding=padding, activation="relu", name=f"conv{block}")(x)
        if min(x.shape[1], x.shape[2]) >= 4:
            x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="dense")(x)
    logits = keras.layers.Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, logits, name="baseline")


FAMILIES: dict[str, Builder] = {"cnn": cnn, "baseline": baseline}
"""Builders by the value of the `family` parameter."""


def with_probabilities(network: keras.Model) -> keras.Model:
    """The same layers and weights, followed by a softmax: what is saved and served."""
    outputs = keras.layers.Softmax(name="probabilities")(network.output)
    return keras.Model(network.input, outputs, name=network.name)
