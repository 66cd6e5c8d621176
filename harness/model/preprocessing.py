"""What happens to raw pixels first; it is part of the network, so that serving raw pixels is right."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from harness.records import Params


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """Of the training images alone, for each channel, in 0…255."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def preprocess(inputs: keras.KerasTensor, params: Params, statistics: PixelStatistics) -> keras.KerasTensor:
    """Denoise, then scale; stock layers only.

    Args:
        inputs: raw pixels (N, H, W, C), 0…255.
        params: `denoise` and `scaling` are read.
        statistics: used by `standardise`.
    """
    x = _denoise(inputs, str(params["denoise"]))
    if params["scaling"] == "standardise":
        scale = [1 / max(deviation, 1.0) for deviation in statistics.deviation]
        offset = [-mean * one for mean, one in zip(statistics.mean, scale, strict=True)]
        return keras.layers.Rescaling(scale, offset, name="standardise")(x)
    return keras.layers.Rescaling(1 / 255, name="rescale")(x)


def _denoise(x: keras.KerasTensor, kind: str) -> keras.KerasTensor:
    if kind == "median":
        _, height, width, channels = x.shape
        patches = keras.ops.image.extract_patches(x, 3, strides=1, padding="same")
        patches = keras.layers.Reshape((height, width, 9, channels), name="patches")(patches)
        return keras.ops.median(patches, axis=3)
    if kind == "gaussian":
        # Two passes of a 3×3 mean: close to a Gaussian of 1.15 pixels, with right borders and no weights.
        for index in (1, 2):
            x = keras.layers.AveragePooling2D(3, strides=1, padding="same", name=f"blur{index}")(x)
    return x
