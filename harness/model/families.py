"""The built-in model families: plain Keras networks from raw pixels to logits.

Every builder takes `(x, params)`, where `x` are scaled pixels (N, H, W, C), and returns the features
(N, F) from which one dense layer makes the logits. Only stock layers are used, so that a saved model
loads without harness. L1, L2 and weight decay are not part of the network: the training step applies
them.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from harness.model.plugin import build_plugin
from harness.model.preprocessing import PixelStatistics, preprocess
from harness.records import Params

ImageShape = tuple[int, int, int]
Builder = Callable[[keras.KerasTensor, Params], keras.KerasTensor]

MAX_FILTERS = 512

# Keras's default of 0.99 needs hundreds of steps before the moving statistics mean anything:
# after a short training, validation would still be at chance.
BATCH_NORM_MOMENTUM = 0.9


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
    features = FAMILIES[family](preprocess(inputs, params, statistics), params)
    logits = keras.layers.Dense(num_classes, name="logits")(features)
    return keras.Model(inputs, logits, name=family)


def cnn(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """`depth` blocks of `convs` convolutions, each with optional batch norm and ReLU; pooling; dropout.

    The number of filters starts at `width` and doubles after each pooling, up to 512. Pooling stops
    before a side of the feature map would fall below 2 pixels, so that any depth fits any image.
    """
    filters = int(params["width"])
    batch_norm = bool(params["batch_norm"])
    for block in range(1, int(params["depth"]) + 1):
        for conv in range(1, int(params["convs"]) + 1):
            name = f"{block}" if params["convs"] == 1 else f"{block}_{conv}"
            x = _convolution(x, filters, int(params["kernel_size"]), f"conv{name}", bias=not batch_norm)
            if batch_norm:
                x = _norm(x, f"norm{name}")
            x = keras.layers.ReLU(name=f"relu{name}")(x)
        if _can_halve(x):
            x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
            filters = min(2 * filters, MAX_FILTERS)
        x = keras.layers.Dropout(float(params["dropout"]), name=f"dropout{block}")(x)
    if params["head"] == "flatten":
        return keras.layers.Flatten(name="flatten")(x)
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def resnet(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """Pre-activation residual network (He et al. 2016, arXiv:1603.05027).

    `stages` of `depth` blocks with two 3×3 convolutions each; every stage but the first halves the size
    and doubles the filters, as long as 2 pixels are left.
    """
    filters = int(params["width"])
    x = _convolution(x, filters, 3, "stem", bias=False)
    for stage in range(1, int(params["stages"]) + 1):
        halve = stage > 1 and _can_halve(x)
        filters = min(2 * filters, MAX_FILTERS) if halve else filters
        for block in range(1, int(params["depth"]) + 1):
            stride = 2 if halve and block == 1 else 1
            x = _residual(x, filters, stride, f"{stage}_{block}", float(params["dropout"]))
    x = keras.layers.ReLU(name="last_relu")(_norm(x, "last_norm"))
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def rnn(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """The rows of the image as a sequence, read by `depth` recurrent layers of `width` units.

    The layers loop over the rows. Unrolled, an epoch would take about a tenth less on a CPU, but compiling up
    to eight times as long (25 s for 32 rows and three layers), and a GPU could not use its own kernels.
    """
    _, height, width, channels = x.shape
    x = keras.layers.Reshape((height, width * channels), name="rows")(x)
    cell = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[str(params["cell"])]
    depth = int(params["depth"])
    for index in range(1, depth + 1):
        layer = cell(int(params["width"]), return_sequences=index < depth, name=f"recurrent{index}")
        if params["bidirectional"]:
            layer = keras.layers.Bidirectional(layer, name=f"both_ways{index}")
        x = layer(x)
        x = keras.layers.Dropout(float(params["dropout"]), name=f"dropout{index}")(x)
    return x


def baseline(x: keras.KerasTensor, _: Params) -> keras.KerasTensor:
    """The network of the classic CIFAR-10 tutorial: two convolutions and a dense layer.

    Convolution 32, pooling, convolution 64, pooling, dense 64; then the logits. The tutorial's own
    softmax before a loss on logits would squash the gradient twice.
    """
    for block, filters in enumerate((32, 64), start=1):
        padding = "valid" if min(x.shape[1], x.shape[2]) >= 6 else "same"
        x = keras.layers.Conv2D(filters, 3, padding=padding, activation="relu", name=f"conv{block}")(x)
        if _can_halve(x):
            x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.layers.Dense(64, activation="relu", name="dense")(x)


FAMILIES: dict[str, Builder] = {"cnn": cnn, "resnet": resnet, "rnn": rnn, "baseline": baseline}
"""Builders by the value of the `family` parameter."""


def with_probabilities(network: keras.Model) -> keras.Model:
    """The same layers and weights, followed by a softmax: what is saved and served."""
    outputs = keras.layers.Softmax(name="probabilities")(network.output)
    return keras.Model(network.input, outputs, name=network.name)


def _residual(
    x: keras.KerasTensor, filters: int, stride: int, name: str, dropout: float
) -> keras.KerasTensor:
    active = keras.layers.ReLU(name=f"relu{name}a")(_norm(x, f"norm{name}a"))
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = _convolution(active, filters, 1, f"shortcut{name}", bias=False, stride=stride)
    y = _convolution(active, filters, 3, f"conv{name}a", bias=False, stride=stride)
    y = keras.layers.ReLU(name=f"relu{name}b")(_norm(y, f"norm{name}b"))
    y = keras.layers.Dropout(dropout, name=f"dropout{name}")(y)
    y = _convolution(y, filters, 3, f"conv{name}b", bias=False)
    return keras.layers.Add(name=f"add{name}")([shortcut, y])


def _convolution(
    x: keras.KerasTensor, filters: int, size: int, name: str, *, bias: bool, stride: int = 1
) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name)(x)


def _can_halve(x: keras.KerasTensor) -> bool:
    return bool(min(x.shape[1], x.shape[2]) >= 4)
