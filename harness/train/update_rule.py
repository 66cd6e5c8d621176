"""What happens to the weights once the gradients of the loss are known: a short list of small pieces.

Each piece takes the gradients, may change weights, and hands gradients on to the next one (after optax's
`chain`). A configuration has only the pieces that it needs. Numbers such as the strength of L2 are tensors,
so that another value compiles nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from harness.records import Params

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


Piece = Callable[[Update], list[tf.Tensor]]
"""Gradients for the next piece."""


def l1_penalty(update: Update) -> list[tf.Tensor]:
    """Add the gradient of l1·Σ|w| over the kernels, which need not go through the tape."""
    return [
        gradient + update.numbers["l1"] * tf.sign(variable) if is_kernel(variable) else gradient
        for gradient, variable in zip(update.gradients, update.variables, strict=True)
    ]


def l2_penalty(update: Update) -> list[tf.Tensor]:
    """Add the gradient of l2·Σw² over the kernels."""
    return [
        gradient + (2 * update.numbers["l2"]) * variable if is_kernel(variable) else gradient
        for gradient, variable in zip(update.gradients, update.variables, strict=True)
    ]


def clip_by_norm(update: Update) -> list[tf.Tensor]:
    """Scale all gradients down together if their common norm is above `clip_norm`."""
    clipped: list[tf.Tensor] = tf.clip_by_global_norm(update.gradients, update.numbers["clip_norm"])[0]
    return clipped


def decoupled_decay(update: Update) -> list[tf.Tensor]:
    """Shrink the kernels by rate·`weight_decay` (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
    for variable in update.variables:
        if is_kernel(variable):
            variable.assign_sub(variable * (update.rate * update.numbers["weight_decay"]))
    return update.gradients


def apply_optimizer(optimizer: keras.Optimizer) -> Piece:
    """The optimizer's own step, at the step's learning rate."""

    def piece(update: Update) -> list[tf.Tensor]:
        optimizer.learning_rate.assign(update.rate)
        optimizer.apply(update.gradients)
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


OPTIONAL: dict[str, Piece] = {
    "l1": l1_penalty,
    "l2": l2_penalty,
    "clip_norm": clip_by_norm,
    "weight_decay": decoupled_decay,
}
"""Pieces before the optimizer, in their order. Each is there if the parameter of its name is above 0; of that
the catalog says `changes_graph_when_positive`."""


def update_rule(params: Params, optimizer: keras.Optimizer, averages: list[tf.Variable]) -> list[Piece]:
    """The pieces that a configuration needs, in their order.

    Args:
        params: complete parameters; which of those in `OPTIONAL` are above 0 counts.
        optimizer: built on the trainable weights.
        averages: of the trainable weights, in their order; empty for none.
    """
    pieces = [piece for name, piece in OPTIONAL.items() if float(params[name]) > 0]
    pieces.append(apply_optimizer(optimizer))
    if averages:
        pieces.append(average(optimizer, averages))
    return pieces


def apply_rule(rule: list[Piece], update: Update) -> None:
    """Pass an update through all pieces."""
    for piece in rule:
        update = replace(update, gradients=piece(update))


def is_kernel(variable: tf.Variable) -> bool:
    """Whether a weight is regularised: biases and normalisation scales, which are vectors, are not."""
    return len(variable.shape) > 1
