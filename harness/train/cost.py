"""What a network costs, counted layer by layer from its graph: nothing is traced, compiled or run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras

from harness.experiment.keys import body_key
from harness.experiment.parameters import unfreezes
from harness.experiment.rates import COMPUTED
from harness.model.network import ImageShape, build, build_body, build_head, frames_in
from harness.model.preprocessing import PixelStatistics
from harness.records import Cost, Params
from harness.train.layer_cost import LayerCost, layer_cost, size

FLOAT_BYTES = 4


def cost(params: Params, image_shape: Sequence[int], classes: int) -> dict[str, float]:
    """The figures of `harness.records.Cost` for a configuration's network, which is built for it.

    Args:
        params: complete parameters; where they unfreeze a part of a body, the whole network counts.
        image_shape: height, width, channels; of clips, before them the frames.
        classes: how many.

    Raises:
        PluginError: the user's own builder is at fault.
    """
    shape, channels = tuple(image_shape), image_shape[-1]
    if body_key(params) is not None and not unfreezes(params):
        return asdict(_cost_on_body(params, shape, classes))
    statistics = PixelStatistics((127.5,) * channels, (64.0,) * channels)  # they change no shape
    return asdict(network_cost(build(params, shape, classes, statistics)))


def _cost_on_body(params: Params, image_shape: ImageShape, classes: int) -> Cost:
    """What a head costs that is trained on features, and the body that makes them."""
    body, frames = build_body(params, image_shape), frames_in(image_shape)
    # Of clips fewer are run through it at a time, so that there are as many frames as there would be images.
    at_a_time = min(COMPUTED, max(1, frames))
    before = network_cost(body)
    head = network_cost(build_head(params, int(body.output_shape[1]), classes, frames))
    return replace(
        head,
        parameters=before.parameters + head.parameters,
        body_forward=before.forward,
        body_bytes=before.written_bytes,
        body_largest_bytes=before.largest_bytes / at_a_time,
        body_operations=before.operations,
    )


def network_cost(network: keras.Model) -> Cost:
    """What an image costs in a network; nested models are walked, a layer used twice counts twice.

    Args:
        network: a functional or sequential model that has been built.
    """
    tally = _Tally()
    _walk(network, tally, trained_before=False)
    trained = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return Cost(
        pixels=float(size(network.input_shape)),
        forward=tally.forward,
        backward=tally.backward,
        written_bytes=FLOAT_BYTES * tally.written,
        kept_bytes=FLOAT_BYTES * tally.kept,
        largest_bytes=FLOAT_BYTES * tally.largest,
        operations=tally.operations,
        iterations=tally.iterations,
        loops=tally.loops,
        parameters=float(network.count_params()),
        trained=float(trained),
    )


@dataclass(slots=True)
class _Tally:
    """Sums over layers; sizes in numbers, not bytes."""

    forward: float = 0.0
    backward: float = 0.0
    written: float = 0.0
    kept: float = 0.0
    largest: float = 0.0
    operations: float = 0.0
    iterations: float = 0.0
    loops: float = 0.0

    def add(self, found: LayerCost, read: float, *, trained: bool, trained_before: bool) -> None:
        """Count one use of a layer.

        Args:
            found: what it costs forward.
            read: numbers that it reads of an image.
            trained: whether it has weights that are trained.
            trained_before: whether any layer before it has.
        """
        # The gradient of the weights, and the one handed on, each cost as much as the way forward.
        passes = int(trained) + int(trained_before)
        self.forward += found.multiply_adds
        self.backward += passes * found.multiply_adds
        self.written += found.written
        self.kept += found.written if passes else 0.0
        self.largest = max(self.largest, read + found.written)
        self.operations += found.written > 0
        self.iterations += found.iterations
        self.loops += found.loops


def _walk(network: keras.Model, tally: _Tally, *, trained_before: bool) -> bool:
    """Count a model's layers in the order in which they run; returns whether its output needs gradients.

    Where the frames of clips are the pictures of a larger batch, a layer is used so many times for a clip.
    """
    graph = getattr(network, "_functional", None) or network
    by_depth: dict[int, list[Any]] = graph._nodes_by_depth
    needs: dict[int, bool] = {}
    rows: dict[int, float] = {}
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            layer, inputs = node.operation, node.input_tensors
            before = trained_before if node.is_input else any(needs[id(tensor)] for tensor in inputs)
            times = 1.0 if node.is_input else max(rows[id(tensor)] for tensor in inputs)
            after = before
            if not node.is_input:
                after = _count(layer, inputs, node.output_tensors, tally, times, trained_before=before)
            if hasattr(layer, "newshape"):  # the operation; the layer of that name keeps a batch's rows
                times *= size(inputs[0].shape) / size(node.output_tensors[0].shape)
            needs |= {id(tensor): after for tensor in node.output_tensors}
            rows |= {id(tensor): times for tensor in node.output_tensors}
    return any(needs[id(tensor)] for tensor in keras.tree.flatten(graph.output))


def _count(
    layer: Any, inputs: list[Any], outputs: list[Any], tally: _Tally, times: float, *, trained_before: bool
) -> bool:
    """Count one use of a layer, or of a model, for so many rows of a batch; returns whether its output needs
    gradients."""
    functional = getattr(layer, "_functional", None) or layer
    if isinstance(layer, keras.Model) and hasattr(functional, "_nodes_by_depth"):
        return _walk(layer, tally, trained_before=trained_before)
    trained = bool(getattr(layer, "trainable_weights", ()))
    found = layer_cost(layer, inputs[0].shape, [tensor.shape for tensor in outputs])
    found = LayerCost(times * found.multiply_adds, times * found.written, found.iterations, found.loops)
    read = times * sum(size(tensor.shape) for tensor in inputs)
    tally.add(found, read, trained=trained, trained_before=trained_before)
    return trained or trained_before
