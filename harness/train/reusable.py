"""Networks that serve many trials: their dropout rate is a variable, their weights are drawn anew by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from harness.records import Precision
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
    network: keras.Model,
    fresh: Callable[[], keras.Model],
    *,
    redrawn: bool,
    kept: Sequence[keras.Layer] = (),
) -> Callable[[int], None]:
    """A function that gives the network fresh weights, the same for the same seed.

    Each weight of a stock layer is drawn by its layer's own initializer. A network with weights that
    come from elsewhere (a plug-in's own layers) is built anew under the seed instead, which is slower.

    Args:
        network: whose weights are drawn.
        fresh: builds it anew.
        redrawn: whether its layers' initializers say all of its weights.
        kept: its layers whose weights are not drawn: they get those that they have now.
    """
    slots = _initializers(network, kept)
    values = [(weight, weight.numpy()) for layer in kept for weight in layer.trainable_weights]

    def redraw(seed: int) -> None:
        _redraw(slots or [], seed)
        for weight, value in values:
            weight.assign(value)

    if slots is not None and redrawn:
        return redraw

    def rebuild(seed: int) -> None:
        keras.utils.set_random_seed(seed)
        network.set_weights(fresh().get_weights())

    return rebuild


_Slot = tuple[keras.Variable, Any, str]
"""A weight, its initializer, and a name for its random stream."""


def _initializers(network: keras.Model, kept: Sequence[keras.Layer]) -> list[_Slot] | None:
    """Every weight but those of the layers `kept`, with its initializer; None if one cannot be found."""
    slots: list[_Slot] = []
    without = {id(inner) for layer in kept for inner in layer._flatten_layers()}
    for index, layer in enumerate(network._flatten_layers(include_self=False)):
        if id(layer) in without:
            continue
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
