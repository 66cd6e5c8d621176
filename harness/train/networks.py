"""The networks of a program: the one that it trains, and those that it predicts with and saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import tensorflow as tf

from harness.experiment.parameters import unfreezes
from harness.model.network import (
    ImageShape,
    build,
    build_head,
    frames_in,
    joined,
    unfrozen_blocks,
    with_probabilities,
)
from harness.model.preprocessing import PixelStatistics
from harness.records import Params, Precision
from harness.train.body import FrozenBody
from harness.train.reusable import computing_with, drawer, with_tunable_dropout


@dataclass(frozen=True, slots=True)
class Networks:
    """One network in several forms; only `trained` has the weights of a trial at any time."""

    trained: keras.Model
    evaluated: keras.Model
    """Predicts in float32; often the same one."""
    stock: keras.Model
    """Stock layers for what `trained` has."""
    whole: keras.Model
    """Stock layers from raw pixels to probabilities, `stock` among them: for saving."""
    draw: Callable[[int], None]
    """Gives `trained` the weights that a trial begins with, by its seed."""
    takes_pixels: bool
    """Whether `trained` is fed raw pixels, and not the features that a body makes of them."""
    body_layers: tuple[keras.Layer, ...]
    """Layers of `trained` whose weights come from elsewhere; empty if the body is apart from it."""
    unfrozen: tuple[tuple[str, ...], ...]
    """The names of those that are trained, block by block, the last block first."""


def networks(
    params: Params,
    image_shape: ImageShape,
    num_classes: int,
    statistics: PixelStatistics,
    precision: Precision,
    body: FrozenBody | None,
    dropout_rate: tf.Variable,
) -> Networks:
    """Build them.

    Args:
        params: complete parameters; with a body, `unfreeze` says whether it is trained with the head.
        image_shape: height, width, channels; of clips, before them the frames.
        num_classes: length of the logits.
        statistics: of the training images.
        precision: what the layers of the network that is trained compute with.
        body: has the weights that come from elsewhere; None: there are none.
        dropout_rate: of the networks that train and predict.
    """
    on_features = body is not None and not unfreezes(params)
    fresh: Callable[[], keras.Model] = (
        partial(build_head, params, body.features, num_classes, frames_in(image_shape))
        if body is not None and on_features
        else partial(build, params, image_shape, num_classes, statistics)
    )
    stock = fresh()
    trained = evaluated = with_tunable_dropout(stock, dropout_rate)
    if precision != "float32":
        with computing_with(precision):
            trained = with_tunable_dropout(fresh(), dropout_rate)
    body_layers: tuple[keras.Layer, ...] = ()
    if body is not None and not on_features:
        pretrained = {layer.name: layer for layer in body.model.layers}
        body_layers = tuple(layer for layer in trained.layers if layer.name in pretrained)
        for layer in body_layers:
            layer.set_weights(pretrained[layer.name].get_weights())
    whole = joined(body.model, stock, str(params["family"])) if body is not None and on_features else stock
    return Networks(
        trained=trained,
        evaluated=evaluated,
        stock=stock,
        whole=with_probabilities(whole),
        draw=drawer(trained, fresh, redrawn="model" not in params, kept=body_layers),
        takes_pixels=not on_features,
        body_layers=body_layers,
        unfrozen=tuple(map(tuple, unfrozen_blocks(params, image_shape))) if body_layers else (),
    )
