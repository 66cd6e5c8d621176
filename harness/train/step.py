"""The training step inside of the compiled epoch: batch, loss, gradients, update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from harness.experiment.parameters import CATALOG, applies
from harness.model.augmentation import augment, mix
from harness.records import Params
from harness.train.update_rule import Numbers, Piece, Update, apply_rule

PART_STREAM = 1 << 20
"""Keeps the random numbers of a batch's parts apart."""
TENSOR_PARAMETERS = tuple(name for name, parameter in CATALOG.items() if parameter.enters == "step")
"""Parameters that enter the compiled step as float32 scalars."""

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
Pick = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True, slots=True)
class StepKind:
    """What of a configuration decides the step's graph."""

    augmentation: str
    mixing: str
    focal: bool
    num_classes: int
    microbatches: int
    """Parts that a batch is cut into, their gradients being added up."""

    @classmethod
    def of(cls, params: Params, num_classes: int, microbatches: int) -> StepKind:
        """The kind of step that complete parameters ask for."""
        return cls(
            _kind("augmentation", params),
            _kind("mixing", params),
            params["balance"] == "focal",
            num_classes,
            microbatches,
        )


def _kind(name: str, params: Params) -> str:
    """How pixels are changed; not at all where the network is not fed pixels."""
    return str(params[name]) if applies(name, params) else "none"


def epoch_function(
    kind: StepKind, network: keras.Model, rule: list[Piece], fuse: Compile, pick: Pick = tf.gather
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """The loop over a chunk of batches, to be traced once.

    Args:
        kind: of step.
        network: whose weights are trained.
        rule: what is done with the gradients.
        fuse: compiles the network's part and the update, or returns them as they are.
        pick: gives some of the images, by their numbers.

    Returns:
        A function of images (uint8, N×H×W×C), labels (int32, N), the batches' indices (int32, steps×batch),
        rates (float32, steps), the epoch's step at which the chunk begins, loss and hits so far (scalars),
        the epoch's seed (int32), class weights (float32, K) and the numbers. It returns the sums of loss and
        hits.
    """
    differentiate = fuse(_differentiator(kind, network))
    variables = [variable.value for variable in network.trainable_variables]

    def update(gradients: list[tf.Tensor], rate: tf.Tensor, numbers: Numbers) -> None:
        apply_rule(rule, Update(gradients, variables, rate, numbers))

    apply = fuse(update)

    def train(
        images: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        first: tf.Tensor,
        loss_before: tf.Tensor,
        hits_before: tf.Tensor,
        seed: tf.Tensor,
        class_weights: tf.Tensor,
        numbers: Numbers,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def step(index: tf.Tensor, loss_sum: tf.Tensor, hits_sum: tf.Tensor) -> tuple[tf.Tensor, ...]:
            total_loss, total_hits = tf.constant(0.0), tf.constant(0)
            gradients: list[tf.Tensor] = []
            for part, (chosen, share) in enumerate(_parts(order[index], kind.microbatches)):
                # The parts one after the other: side by side they would need the memory of the whole.
                with tf.control_dependencies(gradients):
                    own_seed = tf.stack([seed, first + index + part * PART_STREAM])
                    batch = tf.cast(pick(images, chosen), tf.float32)
                    batch = augment(kind.augmentation, batch, numbers["augmentation_strength"], own_seed)
                    hard = tf.gather(labels, chosen)
                    truth = tf.one_hot(hard, kind.num_classes)
                    batch, truth = mix(kind.mixing, batch, truth, numbers["mixing_strength"], own_seed)
                    importance = tf.gather(class_weights, hard)
                    loss, hits, own = differentiate(batch, hard, truth, importance, numbers)
                if share is not None:
                    loss, own = loss * share, [gradient * share for gradient in own]
                total_loss, total_hits = total_loss + loss, total_hits + hits
                gradients = [a + b for a, b in zip(gradients, own, strict=True)] if gradients else own
            apply(gradients, rates[index], numbers)
            return index + 1, loss_sum + total_loss, hits_sum + total_hits

        _, loss_sum, hits_sum = tf.while_loop(
            lambda index, _loss, _hits: index < tf.shape(order)[0],
            step,
            (tf.constant(0), loss_before, hits_before),
            parallel_iterations=1,
        )
        return loss_sum, hits_sum

    return train


def _parts(chosen: tf.Tensor, parts: int) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
    """A batch's indices in parts, with each part's share; None: it is the whole."""
    if parts == 1:
        return [(chosen, None)]
    size = tf.shape(chosen)[0]
    edges = [size * part // parts for part in range(parts + 1)]
    return [
        (chosen[low:high], tf.cast(high - low, tf.float32) / tf.cast(size, tf.float32))
        for low, high in pairwise(edges)
    ]


def _differentiator(kind: StepKind, network: keras.Model) -> Callable[..., Any]:
    """A function that gives a batch's mean loss, its hits, and the loss's gradients."""
    variables = [variable.value for variable in network.trainable_variables]

    def differentiate(
        batch: tf.Tensor, hard: tf.Tensor, truth: tf.Tensor, importance: tf.Tensor, numbers: Numbers
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        smoothing = numbers["label_smoothing"]
        truth = truth * (1 - smoothing) + smoothing / kind.num_classes
        with tf.GradientTape() as tape:
            logits = tf.cast(network(batch, training=True), tf.float32)
            losses = tf.nn.softmax_cross_entropy_with_logits(truth, logits)
            if kind.focal:
                losses *= _focus(logits, truth, numbers["focal_gamma"])
            loss = tf.reduce_mean(losses * importance)
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == hard, tf.int32))
        return loss, hits, tape.gradient(loss, variables)

    return differentiate


def _focus(logits: tf.Tensor, truth: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    """(1 − p)^γ for the probability p given to the truth (Lin et al. 2017, arXiv:1708.02002)."""
    given = tf.reduce_sum(tf.nn.softmax(logits) * truth, axis=1)
    return tf.pow(tf.clip_by_value(1 - given, 1e-6, 1.0), gamma)
