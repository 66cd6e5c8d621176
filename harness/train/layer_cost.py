"""What one use of a layer costs: multiply-adds where its class is known, and what any layer writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

Shape = Sequence[int | None]
"""Of a batch: the first length is None."""
VIEWS = (
    keras.layers.InputLayer,
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Identity,
)
"""Layers that write nothing: their output is their input, looked at differently."""
CELL_STATES = 3
"""Numbers that a step of a recurrent layer keeps for each unit beside its gates: states and output."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one image costs in a layer on its way forward."""

    multiply_adds: float = 0.0
    written: float = 0.0
    """Numbers that it writes; of a recurrent layer also those inside its loop."""
    iterations: float = 0.0
    """Steps of its loops."""
    loops: float = 0.0
    """How many loops it has."""

    def __add__(self, other: LayerCost) -> LayerCost:
        """Both together."""
        return LayerCost(
            self.multiply_adds + other.multiply_adds,
            self.written + other.written,
            self.iterations + other.iterations,
            self.loops + other.loops,
        )

    def times(self, number: float) -> LayerCost:
        """So many uses, one after the other in the same loops."""
        return LayerCost(
            number * self.multiply_adds, number * self.written, number * self.iterations, self.loops
        )


def size(shape: Shape) -> int:
    """Numbers for an image in a tensor of this shape; an unknown length counts as 1."""
    return math.prod(length or 1 for length in shape[1:])


def layer_cost(layer: Any, given: Shape, outputs: Sequence[Shape]) -> LayerCost:
    """What a layer costs.

    Args:
        layer: a Keras layer or operation that has been built.
        given: the shape of its first input.
        outputs: the shapes of its outputs.

    Returns:
        Multiply-adds of convolutions, dense and recurrent layers, of those inside of wrappers, and of layers
        made of other layers, as far as these tell which input they were built for. Of any other layer only
        what it writes.
    """
    written = 0.0 if isinstance(layer, VIEWS) else float(sum(map(size, outputs)))
    for classes, count in _RULES:
        if isinstance(layer, classes):
            found: LayerCost = count(layer, given, outputs[0])
            return found + LayerCost(written=written)
    return _parts(layer) + LayerCost(written=written)


def _spatial(layer: Any, shape: Shape) -> int:
    """Positions of a feature map, without batch and channels."""
    lengths = shape[2:] if layer.data_format == "channels_first" else shape[1:-1]
    return math.prod(length or 1 for length in lengths)


def _convolution(layer: Any, _: Shape, output: Shape) -> LayerCost:
    return LayerCost(float(_spatial(layer, output) * math.prod(layer.kernel.shape)))


def _transposed(layer: Any, given: Shape, _: Shape) -> LayerCost:
    return LayerCost(float(_spatial(layer, given) * math.prod(layer.kernel.shape)))


def _separable(layer: Any, _: Shape, output: Shape) -> LayerCost:
    kernels = layer.depthwise_kernel.shape, layer.pointwise_kernel.shape
    return LayerCost(float(_spatial(layer, output) * sum(map(math.prod, kernels))))


def _dense(layer: Any, given: Shape, _: Shape) -> LayerCost:
    return LayerCost(size(given) / layer.kernel.shape[0] * math.prod(layer.kernel.shape))


def _einsum_dense(layer: Any, given: Shape, _: Shape) -> LayerCost:
    """The kernel is applied at every position: lengths of the input that are not the kernel's."""
    labels, _, rest = layer.equation.replace(" ", "").partition(",")
    kernel = rest.partition("->")[0]
    positions = size(given)
    for label, length in zip(reversed(labels.replace("...", "")), reversed(given), strict=False):
        positions //= (length or 1) if label in kernel else 1
    return LayerCost(float(positions * math.prod(layer.kernel.shape)))


def _attention(layer: Any, given: Shape, _: Shape) -> LayerCost:
    """Projections of every position, and every position with every other one (taken to be as many)."""
    positions = size(given) / (given[-1] or 1)
    kernels = sum(math.prod(weight.shape) for weight in layer.weights if weight.name == "kernel")
    return LayerCost(positions * kernels + 2 * positions**2 * layer.num_heads * layer.key_dim)


def _recurrent(layer: Any, given: Shape, output: Shape) -> LayerCost:
    """Each step multiplies with every kernel of the cell; inside a convolutional cell at every position."""
    steps = float(given[1] or 1)
    # The biases of a GRU have two axes.
    weights = [weight for weight in layer.cell.weights if "bias" not in weight.name]
    kernels = [weight.shape for weight in weights if len(weight.shape) > 1]
    positions = 1.0
    if any(len(kernel) > 2 for kernel in kernels):
        positions = size(output) / layer.cell.filters / (steps if layer.return_sequences else 1.0)
    gates = max((kernel[-1] for kernel in kernels), default=0)
    states = sum(size((None, *state)) for state in _states(layer.cell))
    once = LayerCost(
        multiply_adds=positions * sum(map(math.prod, kernels)),
        written=positions * gates + CELL_STATES * states,
        iterations=1.0,
        loops=1.0,
    )
    return once.times(steps)


def _states(cell: Any) -> Iterable[Sequence[int | None]]:
    for state in keras.tree.flatten(cell.state_size):
        yield (state,) if isinstance(state, int) else tuple(state)


def _both_ways(layer: Any, given: Shape, output: Shape) -> LayerCost:
    return _recurrent(layer.forward_layer, given, output) + _recurrent(layer.backward_layer, given, output)


def _by_step(layer: Any, given: Shape, output: Shape) -> LayerCost:
    steps = float(given[1] or 1)
    inner = layer_cost(layer.layer, (given[0], *given[2:]), [(output[0], *output[2:])])
    return inner.times(steps) + LayerCost(written=-float(size(output)))  # it is counted by who calls


def _parts(layer: Any) -> LayerCost:
    """The layers that a layer is made of, each once, if it tells which input it was built for."""
    found = LayerCost()
    for part in getattr(layer, "_layers", ()):
        shapes = list((getattr(part, "_build_shapes_dict", None) or {}).values())
        if not shapes or not part.built:
            continue
        try:
            output = part.compute_output_shape(*shapes)
            found += layer_cost(part, shapes[0], [output])
        except Exception:  # noqa: BLE001, S112 - the user's own layer: what it does not tell is not counted
            continue
    return found


_Count = Callable[[Any, Shape, Shape], LayerCost]
_RULES: tuple[tuple[tuple[type, ...], _Count], ...] = (
    ((keras.layers.SeparableConv1D, keras.layers.SeparableConv2D), _separable),
    (
        (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
        _transposed,
    ),
    (
        (
            keras.layers.Conv1D,
            keras.layers.Conv2D,
            keras.layers.Conv3D,
            keras.layers.DepthwiseConv1D,
            keras.layers.DepthwiseConv2D,
        ),
        _convolution,
    ),
    ((keras.layers.Dense,), _dense),
    ((keras.layers.EinsumDense,), _einsum_dense),
    ((keras.layers.MultiHeadAttention,), _attention),
    ((keras.layers.Bidirectional,), _both_ways),
    ((keras.layers.TimeDistributed,), _by_step),
    ((keras.layers.RNN,), _recurrent),
)
"""Layer classes and what counts them, the first that fits."""
