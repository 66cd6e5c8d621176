"""What happens to the weights once the gradients of the loss are known: a short list of small pieces.

Each piece takes the gradients, may change weights, and hands gradients on to the next one (after optax's
`chain`). A configuration has only the pieces that it needs. Numbers such as the strength of L2 are tensors,
so that another value compiles nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from harness.records import Params

RATE_DECAY = 0.75
"""The learning rate of a block of a body over that of the block behind it. From the last to the first of some
17 blocks it falls to a hundredth, as with fastai's slices. Layers with rates of their own: Howard and Ruder
2018, arXiv:1801.06146."""

Numbers = dict[str, tf.Tensor]
"""Values of parameters by name, float32 scalars."""


@dataclass(frozen=True, slots=True)
class Update:
    """One step's update on its way through the pieces."""

    gradients: list[tf.Tensor]
    variables: list[tf.Variable]
    """The trainable weights that the gradients belong to, in the same order."""
    rate: tf.Tensor
    """The learning rate, a float32 scalar."""
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Group:
    """Trainable weights with an optimizer of their own, whose steps count from when they were unfrozen."""

    optimizer: keras.Optimizer
    """Built on the weights."""
    places: tuple[int, ...]
    """Those of the weights among all trainable ones."""
    depth: int | None
    """Blocks of a body between these weights, which are of a block, and its end; None: they are of none."""


Piece = Callable[[Update], list[tf.Tensor]]
"""Gradients for the next piece."""


def l1_penalty(penalised: Sequence[bool]) -> Piece:
    """Add the gradient of l1·Σ|w| over the kernels, which need not go through the tape."""

    def piece(update: Update) -> list[tf.Tensor]:
        return [
            gradient + update.numbers["l1"] * tf.sign(variable) if counts else gradient
            for gradient, variable, counts in zip(update.gradients, update.variables, penalised, strict=True)
        ]

    return piece


def l2_penalty(penalised: Sequence[bool]) -> Piece:
    """Add the gradient of l2·Σw² over the kernels."""

    def piece(update: Update) -> list[tf.Tensor]:
        return [
            gradient + (2 * update.numbers["l2"]) * variable if counts else gradient
            for gradient, variable, counts in zip(update.gradients, update.variables, penalised, strict=True)
        ]

    return piece


def clip_by_norm(_: Sequence[bool]) -> Piece:
    """Scale all gradients down together if their common norm is above `clip_norm`."""

    def piece(update: Update) -> list[tf.Tensor]:
        clipped: list[tf.Tensor] = tf.clip_by_global_norm(update.gradients, update.numbers["clip_norm"])[0]
        return clipped

    return piece


def decoupled_decay(penalised: Sequence[bool]) -> Piece:
    """Shrink the kernels by rate·`weight_decay` (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    def piece(update: Update) -> list[tf.Tensor]:
        for variable, counts in zip(update.variables, penalised, strict=True):
            if counts:
                variable.assign_sub(variable * (update.rate * update.numbers["weight_decay"]))
        return update.gradients

    return piece


def apply_optimizers(groups: Sequence[Group]) -> Piece:
    """The optimizers' own steps, each at its group's learning rate."""

    def piece(update: Update) -> list[tf.Tensor]:
        for group in groups:
            rate = update.rate
            if group.depth is not None:
                rate *= update.numbers["unfreeze_rate"] * RATE_DECAY**group.depth
            group.optimizer.learning_rate.assign(rate)
            group.optimizer.apply([update.gradients[place] for place in group.places])
        return update.gradients

    return piece


def average(optimizer: keras.Optimizer, averages: list[tf.Variable]) -> Piece:
    """Let exponential moving averages of the weights follow them, by the decay `ema`."""

    def piece(update: Update) -> list[tf.Tensor]:
        # A young average follows closely, so that the random start is soon forgotten.
        age = tf.cast(optimizer.iterations.value, tf.float32)
        decay = tf.minimum(update.numbers["ema"], (1 + age) / (10 + age))
        for own, variable in zip(averages, update.variables, strict=True):
            own.assign_sub((1 - decay) * (own - variable))
        return update.gradients

    return piece


OPTIONAL: dict[str, Callable[[Sequence[bool]], Piece]] = {
    "l1": l1_penalty,
    "l2": l2_penalty,
    "clip_norm": clip_by_norm,
    "weight_decay": decoupled_decay,
}
"""Pieces before the optimizers, in their order; they are made for weights of which it is known whether they
are penalised. Each is there if the parameter of its name is above 0; of that the catalog says
`changes_graph_when_positive`."""


def weight_groups(
    network: keras.Model, unfrozen: Sequence[Sequence[str]], make: Callable[[], keras.Optimizer]
) -> list[Group]:
    """The trainable weights of a network in groups, each with an optimizer built on it.

    Args:
        network: that is trained.
        unfrozen: the names of the layers of a body that are trained, block by block, the last one first.
        make: a fresh optimizer.

    Returns:
        First the weights that are of no block, then those of each block.
    """
    places = {id(weight): place for place, weight in enumerate(network.trainable_variables)}
    blocks = [
        [places.pop(id(weight)) for name in block for weight in network.get_layer(name).trainable_weights]
        for block in unfrozen
    ]
    groups = []
    for depth, own in [(None, list(places.values())), *enumerate(blocks)]:
        optimizer = make()
        optimizer.build([network.trainable_variables[place] for place in own])
        groups.append(Group(optimizer, tuple(own), depth))
    return groups


def update_rule(
    params: Params, groups: Sequence[Group], variables: Sequence[tf.Variable], averages: list[tf.Variable]
) -> list[Piece]:
    """The pieces that a configuration needs, in their order.

    Args:
        params: complete parameters; which of those in `OPTIONAL` are above 0 counts.
        groups: of the trainable weights, as `weight_groups` makes them.
        variables: the trainable weights.
        averages: of the trainable weights, in their order; empty for none.
    """
    own = set(groups[0].places)
    penalised = [place in own and is_kernel(variable) for place, variable in enumerate(variables)]
    pieces = [make(penalised) for name, make in OPTIONAL.items() if float(params[name]) > 0]
    pieces.append(apply_optimizers(groups))
    if averages:
        pieces.append(average(groups[0].optimizer, averages))
    return pieces


def apply_rule(rule: list[Piece], update: Update) -> None:
    """Pass an update through all pieces."""
    for piece in rule:
        update = replace(update, gradients=piece(update))


def is_kernel(variable: tf.Variable) -> bool:
    """Whether a weight may be penalised: biases and normalisation scales, which are vectors, are not."""
    return len(variable.shape) > 1
