"""Networks that serve many trials: their dropout rate is a variable, their weights are drawn anew by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from harness.model.network import ImageShape, build
from harness.model.preprocessing import PixelStatistics
from harness.records import Params, Precision
from harness.seeds import seed_from


class TunableDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Dropout whose rate is a variable, so that changing it compiles nothing."""

    def __init__(self, variable_rate: tf.Variable, **config: Any) -> None:
        super().__init__(**config)
        self.variable_rate = variable_rate

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop and rescale in training, pass through otherwise."""
        if not training:
            return inputs
        rate = tf.cast(self.variable_rate, inputs.dtype)
        return tf.nn.experimental.stateless_dropout(inputs, rate=rate, seed=self.seed_generator.next())


@contextmanager
def computing_with(precision: Precision) -> Iterator[None]:
    """Inside, new layers compute in `precision` with float32 weights."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def with_tunable_dropout(network: keras.Model, rate: tf.Variable) -> keras.Model:
    """A copy of the network, with weights of its own, whose dropout layers all drop at `rate`."""

    def clone(layer: keras.Layer) -> keras.Layer:
        if type(layer) is keras.layers.Dropout and layer.rate > 0:
            return TunableDropout(rate, **layer.get_config())
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=clone)


def seed_generators(network: keras.Model) -> list[keras.random.SeedGenerator]:
    """All random states inside the network, in layer order."""
    return [
        generator
        for layer in network._flatten_layers()
        for generator in layer._seed_generators
        if layer is not network
    ]


def drawer(
    params: Params,
    image_shape: ImageShape,
    num_classes: int,
    statistics: PixelStatistics,
    network: keras.Model,
) -> Callable[[int], None]:
    """A function that gives the network fresh weights, the same for the same seed.

    Each weight of a stock layer is drawn by its layer's own initializer. A network with weights that
    come from elsewhere (a plug-in's own layers) is built anew under the seed instead, which is slower.
    """
    slots = _initializers(network)
    if slots is not None and "model" not in params:
        return lambda seed: _redraw(slots, seed)

    def rebuild(seed: int) -> None:
        keras.utils.set_random_seed(seed)
        network.set_weights(build(params, image_shape, num_classes, statistics).get_weights())

    return rebuild


_Slot = tuple[keras.Variable, Any, str]
"""A weight, its initializer, and a name for its random stream."""


def _initializers(network: keras.Model) -> list[_Slot] | None:
    """Every weight with its initializer; None if one cannot be found."""
    slots: list[_Slot] = []
    for index, layer in enumerate(network._flatten_layers(include_self=False)):
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            own = variable.name.replace("recurrent_kernel", "recurrent")
            initializer = getattr(layer, f"{own}_initializer", None)
            if initializer is None:
                return None
            slots.append((variable, initializer, f"{index}/{variable.name}"))
    return slots


def _redraw(slots: list[_Slot], seed: int) -> None:
    for variable, initializer, stream in slots:
        config = initializer.get_config()
        if "seed" in config:
            config["seed"] = seed_from(seed, "weights", stream)
        variable.assign(type(initializer).from_config(config)(variable.shape, variable.dtype))
