"""Layers that several families have in common."""

from __future__ import annotations

import keras

# Keras's default of 0.99 needs hundreds of steps before the moving statistics mean anything:
# after a short training, validation would still be at chance.
BATCH_NORM_MOMENTUM = 0.9
RECURRENT = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
"""Recurrent layers by the name of their cell."""


def convolution(
    x: keras.KerasTensor, filters: int, size: int, name: str, *, bias: bool, stride: int = 1
) -> keras.KerasTensor:
    """A convolution with `size`×`size` kernels that keeps the image's size, or halves it at a stride of 2."""
    return keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Batch normalisation that is of use after a short training already."""
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name)(x)


def can_halve(x: keras.KerasTensor) -> bool:
    """Whether halving a feature map (N, H, W, C) would leave at least 2 pixels a side."""
    return bool(min(x.shape[1], x.shape[2]) >= 4)
