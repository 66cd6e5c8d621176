"""A model's layers as layers of another network, by names that are the same in every process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from harness.errors import PretrainedError
from harness.model.backbones.backbone import PREFIX

if TYPE_CHECKING:
    import keras


def graft(model: keras.Model, x: keras.KerasTensor) -> keras.KerasTensor:
    """Puts new layers like a model's on a tensor, those of models inside it too, with random weights.

    Args:
        model: functional or sequential, with one input and one output.
        x: what comes instead of the input, of the same shape.
    """
    names = {id(layer): name for layer, name in named_layers(model)}
    made: dict[int, Any] = {}

    def new(layer: Any) -> Callable[..., Any]:
        if _is_model(layer):
            return lambda inner, **_: through(layer, inner)
        if id(layer) not in made:  # a layer that is used twice stays one layer
            # The precision is that of the network it becomes part of.
            config = {key: value for key, value in layer.get_config().items() if key != "dtype"}
            made[id(layer)] = type(layer).from_config({**config, "name": names[id(layer)]})
        placed: Callable[..., Any] = made[id(layer)]
        return placed

    def through(inner: Any, tensor: keras.KerasTensor) -> keras.KerasTensor:
        return _functional(inner)._run_through_graph(tensor, new)

    return through(model, x)


def transplant(model: keras.Model, network: keras.Model) -> None:
    """Gives a model's weights to the network that was grown from it by `graft`, or to a copy of that.

    Raises:
        PretrainedError: they do not fit.
    """
    for layer, name in named_layers(model):
        if not getattr(layer, "weights", None):
            continue
        try:
            network.get_layer(name).set_weights(layer.get_weights())
        except ValueError as error:
            raise PretrainedError(
                f"The weights of the layer {name} do not fit the network: {error}"
            ) from error


def named_layers(model: keras.Model) -> Iterator[tuple[Any, str]]:
    """All layers and operations of a model and of the models inside it, and the names they get elsewhere.

    Keras numbers layers without a name through all networks of a process; here they are numbered anew.
    """
    numbers: Counter[str] = Counter()
    for layer in _inner_layers(model, set()):
        kind = _snake_case(type(layer).__name__)
        given = layer.name if not re.fullmatch(rf"{kind}(_\d+)?", layer.name) else kind
        numbers[given] += 1
        again = numbers[given] > 1 or given == kind
        yield layer, f"{PREFIX}{given}_{numbers[given]}" if again else f"{PREFIX}{given}"


def _inner_layers(model: keras.Model, seen: set[int]) -> Iterator[Any]:
    import keras

    for layer in _functional(model).operations:
        if isinstance(layer, keras.layers.InputLayer) or id(layer) in seen:
            continue
        seen.add(id(layer))
        if _is_model(layer):
            yield from _inner_layers(layer, seen)
        else:
            yield layer


def _functional(model: Any) -> Any:
    """The graph of a model: a sequential one has it inside."""
    import keras

    return model._functional if isinstance(model, keras.Sequential) else model


def _is_model(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.Model)


def _snake_case(name: str) -> str:
    """As Keras names a layer after its class."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
