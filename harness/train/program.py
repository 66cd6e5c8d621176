"""The compiled program of one signature: a network, an optimizer, one epoch and a prediction.

Tracing a network costs seconds, so everything that is only a number (learning rates, dropout, L1,
L2, weight decay, label smoothing, augmentation strength) enters as a tensor or variable, and the
program is used again for every trial with the same signature. An epoch is one call: a loop inside
the graph gathers batches from the resident uint8 images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.model.augmentation import augment
from harness.model.families import ImageShape, build
from harness.model.optimizers import OPTIMIZERS
from harness.records import Params
from harness.seeds import seed_from

EVALUATION_BATCH = 512
NUMBERS = ("l1", "l2", "weight_decay", "label_smoothing", "augmentation_strength")


class TunableDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Dropout whose rate is a variable, so that changing it compiles nothing."""

    def __init__(self, variable_rate: tf.Variable, **config: Any) -> None:
        super().__init__(**config)
        self.variable_rate = variable_rate

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop and rescale in training, pass through otherwise."""
        if not training:
            return inputs
        return tf.nn.experimental.stateless_dropout(
            inputs, rate=self.variable_rate, seed=self.seed_generator.next()
        )


@dataclass(frozen=True, slots=True)
class EpochTotals:
    """What one training epoch measured, averaged over its images (augmented, dropout on)."""

    loss: float
    """Cross-entropy with label smoothing, without L1 and L2."""
    accuracy: float


class Program:
    """Compiled train and predict functions; hold one per signature and reuse it."""

    def __init__(self, params: Params, image_shape: ImageShape, num_classes: int) -> None:
        self._rate = tf.Variable(0.0, trainable=False, name="dropout_rate")
        self.network = _with_tunable_dropout(build(params, image_shape, num_classes), self._rate)
        self.optimizer = OPTIMIZERS[str(params["optimizer"])](params)
        self.optimizer.build(self.network.trainable_variables)
        self._optimizer_start = [variable.numpy() for variable in self.optimizer.variables]
        self._augmentation = str(params["augmentation"])
        self._uses_l1 = float(params["l1"]) > 0
        self._uses_l2 = float(params["l2"]) > 0
        self._uses_decay = float(params["weight_decay"]) > 0
        self._num_classes = num_classes
        # XLA pays on a GPU only: on a CPU oneDNN's kernels are several times faster.
        jit = bool(tf.config.list_physical_devices("GPU"))
        self._train = tf.function(
            self._train_epoch,
            autograph=False,
            jit_compile=jit,
            input_signature=[
                tf.TensorSpec((None, *image_shape), tf.uint8),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((), tf.int32),
                {name: tf.TensorSpec((), tf.float32) for name in NUMBERS},
            ],
        )
        self._predict = tf.function(
            lambda images: self.network(tf.cast(images, tf.float32), training=False),
            autograph=False,
            jit_compile=False,
            input_signature=[tf.TensorSpec((None, *image_shape), tf.uint8)],
        )

    def reset(self, seed: int, dropout: float) -> None:
        """Start a trial: fresh weights drawn from `seed`, a fresh optimizer, this dropout rate."""
        _initialise(self.network, seed)
        for variable, value in zip(self.optimizer.variables, self._optimizer_start, strict=True):
            variable.assign(value)
        self._rate.assign(dropout)

    def train_epoch(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        order: npt.NDArray[np.int32],
        rates: npt.NDArray[np.float32],
        seed: int,
        params: Params,
    ) -> EpochTotals:
        """Train one epoch.

        Args:
            images: uint8 (N, H, W, C).
            labels: int32 (N,).
            order: int32 (steps, batch), which images make each batch.
            rates: float32 (steps,), the learning rates.
            seed: decides dropout and augmentation of this epoch.
            params: the numbers named in `NUMBERS` are read.
        """
        for index, generator in enumerate(_seed_generators(self.network)):
            generator.state.assign([seed, index])
        numbers = {name: tf.constant(float(params[name]), tf.float32) for name in NUMBERS}
        loss, correct = self._train(images, labels, order, rates, tf.constant(seed, tf.int32), numbers)
        return EpochTotals(loss=float(loss) / order.shape[0], accuracy=int(correct) / order.size)

    def predict(self, images: npt.NDArray[np.uint8] | tf.Tensor) -> npt.NDArray[np.float32]:
        """Logits, float32 (N, num_classes), for uint8 images (N, H, W, C)."""
        parts = [
            self._predict(images[start : start + EVALUATION_BATCH]).numpy()
            for start in range(0, len(images), EVALUATION_BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self._num_classes), np.float32)

    def state(self) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
        """Copies of the weights and of the optimizer's variables."""
        return self.network.get_weights(), [variable.numpy() for variable in self.optimizer.variables]

    def restore(self, weights: list[npt.NDArray[Any]], optimizer: list[npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; raises ValueError if the shapes do not fit."""
        self.network.set_weights(weights)
        for variable, value in zip(self.optimizer.variables, optimizer, strict=True):
            variable.assign(value)

    def _train_epoch(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        seed: tf.Tensor,
        numbers: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def step(index: tf.Tensor, loss_sum: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
            chosen = order[index]
            batch = tf.cast(tf.gather(images, chosen), tf.float32)
            batch = augment(
                self._augmentation, batch, numbers["augmentation_strength"], tf.stack([seed, index])
            )
            loss, hits = self._train_step(batch, tf.gather(labels, chosen), rates[index], numbers)
            return index + 1, loss_sum + loss, correct + hits

        _, loss_sum, correct = tf.while_loop(
            lambda index, _loss, _correct: index < tf.shape(order)[0],
            step,
            (tf.constant(0), tf.constant(0.0), tf.constant(0)),
            parallel_iterations=1,
        )
        return loss_sum, correct

    def _train_step(
        self, batch: tf.Tensor, labels: tf.Tensor, rate: tf.Tensor, numbers: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        smoothing = numbers["label_smoothing"]
        truth = tf.one_hot(labels, self._num_classes) * (1 - smoothing) + smoothing / self._num_classes
        variables = [variable.value for variable in self.network.trainable_variables]
        with tf.GradientTape() as tape:
            logits = self.network(batch, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(truth, logits))
        gradients = tape.gradient(loss, variables)
        gradients = [
            self._regularised(gradient, variable, numbers)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        if self._uses_decay:
            for variable in variables:
                if _is_kernel(variable):
                    variable.assign_sub(variable * (rate * numbers["weight_decay"]))
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients)
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.int32))
        return loss, hits

    def _regularised(
        self, gradient: tf.Tensor, variable: tf.Variable, numbers: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Add the gradient of l1·Σ|w| + l2·Σw², which need not go through the tape."""
        if _is_kernel(variable):
            if self._uses_l1:
                gradient += numbers["l1"] * tf.sign(variable)
            if self._uses_l2:
                gradient += (2 * numbers["l2"]) * variable
        return gradient


def _is_kernel(variable: tf.Variable) -> bool:
    """Biases and normalisation scales are vectors; they are not regularised."""
    return len(variable.shape) > 1


def _with_tunable_dropout(network: keras.Model, rate: tf.Variable) -> keras.Model:
    def clone(layer: keras.Layer) -> keras.Layer:
        if type(layer) is keras.layers.Dropout and layer.rate > 0:
            return TunableDropout(rate, **layer.get_config())
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=clone)


def _seed_generators(network: keras.Model) -> list[keras.random.SeedGenerator]:
    """All random states inside the network, in layer order."""
    return [
        generator
        for layer in network._flatten_layers()
        for generator in layer._seed_generators
        if layer is not network
    ]


def _initialise(network: keras.Model, seed: int) -> None:
    """Draw every weight anew from its layer's own initializer, each from a seed of its own."""
    for index, layer in enumerate(network._flatten_layers(include_self=False)):
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            initializer = getattr(layer, f"{variable.name}_initializer", None)
            if initializer is None:
                continue
            config = initializer.get_config()
            if "seed" in config:
                config["seed"] = seed_from(seed, "weights", index, variable.name)
            variable.assign(type(initializer).from_config(config)(variable.shape, variable.dtype))
