"""Several networks averaged in one: stock layers, from raw pixels to the weighted mean of probabilities.

What the networks have in common from the pixels on is computed once: a layer stands for a layer of another
network, too, if both are of one class with the same settings and the same weights, to the last bit, and are
fed by layers of which the same holds. So heads on one frozen network share it, and networks whose last blocks
were trained share those before. Nothing has to be known of how a network was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

Key = tuple[Any, ...]
"""What a layer is recognised by: class, settings, weights, and what it is called with."""


def average(networks: Mapping[str, keras.Model], weights: Mapping[str, float]) -> keras.Model:
    """One flat network that predicts the weighted mean of what several predict.

    Args:
        networks: at least two by name, such as `trial_3`, each functional or sequential, from raw pixels
            (H, W, C) to probabilities (K,), which have these shapes in common. Layers are called by the name
            of the first network that they are of, and their own in it.
        weights: of each network by its name; they add up to 1.

    Returns:
        A functional model of stock layers, if the networks are; its weights are copies.
    """
    shape = next(iter(networks.values())).input_shape[1:]
    inputs = keras.Input(shape, name="image")
    placed = _Placed()
    parts = []
    for name, network in networks.items():
        probabilities = placed.put(name, network, inputs)
        parts.append(keras.layers.Rescaling(weights[name], name=f"{name}_weight")(probabilities))
    outputs = keras.layers.Add(name="probabilities")(parts)
    return keras.Model(inputs, outputs, name="ensemble")


@dataclass(frozen=True, slots=True)
class _Placed:
    """Layers that the averaged network has by now."""

    outputs: dict[Key, Any] = field(default_factory=dict)
    """What a layer that was called so gives."""
    layers: dict[Key, Any] = field(default_factory=dict)
    """The layer that was called so."""

    def put(self, name: str, network: keras.Model, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Put a network's layers on a tensor, as far as they are not there; returns its output."""
        own: dict[int, Any] = {}

        def stand_in(layer: Any) -> Callable[..., Any]:
            if isinstance(layer, keras.Model):
                return lambda inner, **_: through(layer, inner)
            return lambda *values, **named: self._call(name, layer, own, values, named)

        def through(inner: keras.Model, tensor: keras.KerasTensor) -> keras.KerasTensor:
            graph = inner._functional if isinstance(inner, keras.Sequential) else inner
            return graph._run_through_graph(tensor, stand_in)

        return through(network, inputs)

    def _call(
        self, name: str, layer: Any, own: dict[int, Any], values: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """What a layer gives, and whose it is: one that is called so already, or a new one like it.

        Args:
            name: of the network.
            layer: of the network.
            own: the layers that stand for those of this network, by the `id` of these: one that is used twice
                stays one layer.
            values: what it is called with, by position.
            named: by name.
        """
        fed = [_recognised(one) for one in keras.tree.flatten((values, named))]
        key = (*_settings(layer), *fed, tuple(named))
        if key in self.outputs:
            own.setdefault(id(layer), self.layers[key])
            return self.outputs[key]
        copy = own.get(id(layer))
        if copy is None:
            copy = type(layer).from_config({**layer.get_config(), "name": f"{name}_{layer.name}"})
        found = copy(*values, **named)
        if id(layer) not in own and getattr(layer, "weights", None):
            copy.set_weights(layer.get_weights())
        own[id(layer)] = copy
        self.outputs[key], self.layers[key] = found, copy
        return found


def _recognised(value: Any) -> Any:
    """What tells one argument of a call from another, or one setting."""
    if isinstance(value, keras.KerasTensor):
        return id(value)
    if not hasattr(value, "shape"):
        return repr(value)
    array = np.asarray(value)
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _settings(layer: Any) -> tuple[str, str, str]:
    """Class, settings without the name, and the digest of the weights."""
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    digest = hashlib.sha256()
    for weight in layer.get_weights() if getattr(layer, "weights", None) else ():
        digest.update(_recognised(weight).encode())
    kind = f"{type(layer).__module__}.{type(layer).__qualname__}"
    return kind, json.dumps(config, sort_keys=True, default=_recognised), digest.hexdigest()
