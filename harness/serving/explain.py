"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): where in an image the network found its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import ServingError
from harness.messages import nearest
from harness.serving.layers import feature_map, score_tensor
from harness.serving.predictor import Images, Predictor
from harness.serving.results import Guess, best_of
from harness.serving.views import view_of

SIDE = 512
"""Pixels of the picture's longer side."""
GAP = 8
STRENGTH = 0.65
"""How much of the hottest places the colours cover."""
_STOPS = np.linspace(0, 1, 4)
_COLOURS = np.array([[40, 50, 150], [30, 160, 170], [250, 200, 40], [220, 30, 30]])
"""From cold to hot."""

Heat = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a network looks in one image."""

    guess: Guess
    """The class that is explained, and its probability."""
    top: tuple[Guess, ...]
    """The most probable classes, best first."""
    layer: str
    """The layer whose output was looked at."""
    heat: Heat
    """float32 (h, w), 0 to 1: what speaks for the class, on the grid of the layer; 0 everywhere if nothing
    does."""


def explain(model: Predictor, content: bytes, name: str | None = None) -> Explanation:
    """Find what in an image speaks for a class.

    Args:
        model: whose network has a convolution.
        content: the file's bytes.
        name: the class; by default the most probable one.

    Raises:
        DataError: it is no image that is read.
        ServingError: the network has no convolution, or no such class.
    """
    classes = model.classes
    if name is not None and name not in classes:
        raise ServingError(f"{model.source.name} knows no class {name!r}{nearest(name, classes)}.")
    layer, _ = feature_map(model.network)
    pixels = model.prepare(content)[None]
    probabilities = model.predict(pixels)[0]
    index = int(probabilities.argmax()) if name is None else classes.index(name)
    return Explanation(
        guess=Guess(classes[index], float(probabilities[index])),
        top=best_of(probabilities, classes, 3),
        layer=layer,
        heat=_heat(model.network, pixels, index),
    )


def picture_of(model: Predictor, content: bytes, heat: Heat) -> Images:
    """The image, and beside it the same with the heat laid over it: uint8 (H, W, 3)."""
    from PIL import Image

    plain = view_of(content, model.source, SIDE)
    height, width, _ = plain.shape
    spread = np.asarray(
        Image.fromarray(heat).resize((width, height), Image.Resampling.BICUBIC), np.float32
    ).clip(0, 1)
    colours = np.stack([np.interp(spread, _STOPS, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    cover = (STRENGTH * np.sqrt(spread))[..., None]
    overlaid = plain * (1 - cover) + colours * cover
    gap = np.full((height, GAP, 3), 255, np.uint8)
    return np.hstack([plain, gap, overlaid.round().astype(np.uint8)])


def _heat(network: Any, pixels: Images, index: int) -> Heat:
    """The channels of the feature map, each weighted by how much it raises the class's score; (h, w)."""
    import keras
    import tensorflow as tf

    _, tensor = feature_map(network)
    inside = keras.Model(network.input, [tensor, score_tensor(network)])
    given = tf.cast(pixels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)  # a frozen network has nothing else that would be followed
        maps, scores = inside(given, training=False)
        score = scores[:, index]
    slopes = tape.gradient(score, maps)
    if slopes is None:
        raise ServingError(f"The scores of {network.name} do not depend on its last convolution.")
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    heat: Heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))[0].numpy().astype(np.float32)
    return heat / heat.max() if heat.max() > 0 else heat
