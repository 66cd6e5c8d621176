"""The network of the classic CIFAR-10 tutorial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.families.family import Family
from harness.records import Params

if TYPE_CHECKING:
    import keras


def features(x: keras.KerasTensor, _: Params) -> keras.KerasTensor:
    """Convolution 32, pooling, convolution 64, pooling, dense 64; then the logits.

    The tutorial's own softmax before a loss on logits would squash the gradient twice.
    """
    import keras

    from harness.model.families.layers import can_halve

    for block, filters in enumerate((32, 64), start=1):
        padding = "valid" if min(x.shape[1], x.shape[2]) >= 6 else "same"
        x = keras.layers.Conv2D(filters, 3, padding=padding, activation="relu", name=f"conv{block}")(x)
        if can_halve(x):
            x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.layers.Dense(64, activation="relu", name="dense")(x)


def multiply_adds(_: Params, image_shape: tuple[int, int, int]) -> float:
    """What one image costs in the two convolutions and the dense layer."""
    height, width, channels = image_shape
    return height * width * (9 * channels * 32 + 9 * 32 * 64 / 4 + 64 * 64 / 16)


FAMILY = Family(
    about="The tutorial's network: two convolutions and a dense layer, the yardstick.",
    parameters=(),
    features=features,
    multiply_adds=multiply_adds,
)
