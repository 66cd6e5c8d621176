"""The compiled program of one signature: a network, an optimizer, one epoch and a prediction.

Tracing a network costs seconds, so everything that is only a number (learning rates, dropout, L1,
L2, weight decay, label smoothing, augmentation strength) enters as a tensor or variable, and the
program is used again for every trial with the same signature. An epoch is one call: a loop inside
the graph gathers batches from the resident uint8 images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.data.arrays import Images, ImagesOnDisk
from harness.model.augmentation import augment, mix
from harness.model.families import ImageShape, build, with_probabilities
from harness.model.optimizers import OPTIMIZERS
from harness.model.preprocessing import PixelStatistics
from harness.records import Params, Precision
from harness.seeds import seed_from
from harness.train.images import Chunk

EVALUATION_BATCH = {"CPU": 512, "GPU": 4096}
"""Images that are predicted at a time at most,"""
EVALUATION_BYTES = {"CPU": 512 << 20, "GPU": 2 << 30}
"""and fewer if the largest layer's input and output would take more than this for all of them."""
PART_STREAM = 1 << 20
"""Keeps the random numbers of a batch's parts apart."""
NUMBERS = (
    "l1",
    "l2",
    "weight_decay",
    "label_smoothing",
    "augmentation_strength",
    "mixing_strength",
    "focal_gamma",
    "clip_norm",
    "ema",
)
"""Parameters that enter the compiled step as float32 scalars."""


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


@dataclass(frozen=True, slots=True)
class EpochTotals:
    """What one training epoch measured, averaged over its images (augmented, dropout on)."""

    loss: float
    """Cross-entropy with label smoothing, without L1 and L2."""
    accuracy: float


class Program:
    """Compiled train and predict functions; hold one per signature and reuse it."""

    def __init__(
        self,
        params: Params,
        image_shape: ImageShape,
        num_classes: int,
        statistics: PixelStatistics,
        microbatches: int = 1,
        precision: Precision = "float32",
    ) -> None:
        """Build the network; it is traced when it is first used.

        Args:
            params: complete parameters.
            image_shape: height, width, channels.
            num_classes: length of the logits.
            statistics: of the training images.
            microbatches: parts that each batch is cut into to save memory, their gradients added up.
            precision: what layers compute with in training, as in Micikevicius et al. 2018
                (arXiv:1710.03740). Weights, optimizer, loss and predictions are float32 in any case, and so
                is the model that is saved; bfloat16 has float32's range and needs no scaling of the loss.
        """
        self._microbatches = microbatches
        self._rate = tf.Variable(0.0, trainable=False, name="dropout_rate")
        stock = build(params, image_shape, num_classes, statistics)
        self.network = self._evaluated = _with_tunable_dropout(stock, self._rate)
        if precision != "float32":
            with _computing_with(precision):
                mixed = build(params, image_shape, num_classes, statistics)
                self.network = _with_tunable_dropout(mixed, self._rate)
        self._stock = with_probabilities(stock)
        self.optimizer = OPTIMIZERS[str(params["optimizer"])](params)
        self.optimizer.build(self.network.trainable_variables)
        self._optimizer_start = [variable.numpy() for variable in self.optimizer.variables]
        self._averages = [
            tf.Variable(variable, trainable=False)
            for variable in self.network.trainable_variables
            if float(params["ema"]) > 0
        ]
        """Exponential moving averages of the weights, if the configuration wants them."""
        self._draw = _drawer(params, image_shape, num_classes, statistics, self.network)
        self._augmentation = str(params["augmentation"])
        self._mixing = str(params["mixing"])
        self._focal = params["balance"] == "focal"
        self._clips = float(params["clip_norm"]) > 0
        self._uses_l1 = float(params["l1"]) > 0
        self._uses_l2 = float(params["l2"]) > 0
        self._uses_decay = float(params["weight_decay"]) > 0
        self._num_classes = num_classes
        # XLA pays on a GPU only: on a CPU oneDNN's kernels are several times faster. It gets the network and
        # the update, not the loop around them: some augmentations it cannot compile.
        # Nor can it compile a GPU's own kernels for recurrent layers.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        layers = list(self.network._flatten_layers())
        compilable = all(layer.supports_jit for layer in layers)
        fuse = _fused if on_gpu and compilable else lambda function: function
        self._differentiate, self._apply = fuse(self._gradients), fuse(self._update)
        device = "GPU" if on_gpu else "CPU"
        self._evaluation_batch = min(
            EVALUATION_BATCH[device], max(1, EVALUATION_BYTES[device] // _bytes_an_image(self._evaluated))
        )
        loops = any(isinstance(layer, keras.layers.RNN) for layer in layers)
        self._rewritten = on_gpu or loops or "model" in params
        self._train = tf.function(
            self._train_epoch,
            autograph=False,
            input_signature=[
                tf.TensorSpec((None, *image_shape), tf.uint8),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((), tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((num_classes,), tf.float32),
                {name: tf.TensorSpec((), tf.float32) for name in NUMBERS},
            ],
        )
        self._read = tf.function(
            lambda: [
                tf.identity(variable)
                for variable in [*self.network.weights, *self.optimizer.variables, *self._averages]
            ],
            autograph=False,
            input_signature=[],
        )
        self._align = tf.function(
            lambda: [
                own.value.assign(weight.value)
                for own, weight in zip(self._evaluated.weights, self.network.weights, strict=True)
            ],
            autograph=False,
            input_signature=[],
        )
        """Gives the weights to the network that predicts, where that is another one."""
        self._predict = tf.function(
            lambda images: self._evaluated(tf.cast(images, tf.float32), training=False),
            autograph=False,
            jit_compile=False,
            input_signature=[tf.TensorSpec((None, *image_shape), tf.uint8)],
        )

    def reset(self, seed: int, dropout: float) -> None:
        """Start a trial: fresh weights drawn from `seed`, a fresh optimizer, this dropout rate."""
        self._draw(seed)
        for average, weight in zip(self._averages, self.network.trainable_variables, strict=False):
            average.assign(weight)
        for variable, value in zip(self.optimizer.variables, self._optimizer_start, strict=True):
            variable.assign(value)
        self._rate.assign(dropout)

    def train_epoch(
        self,
        chunks: Iterable[Chunk],
        rates: npt.NDArray[np.float32],
        seed: int,
        params: Params,
        class_weights: npt.NDArray[np.float32] | None = None,
    ) -> EpochTotals:
        """Train one epoch.

        Args:
            chunks: the epoch's batches; into how many chunks they are cut changes nothing.
            rates: float32 (steps,), the learning rates.
            seed: decides dropout and augmentation of this epoch.
            params: the numbers named in `NUMBERS` are read.
            class_weights: float32 (num_classes,), what an image of each class counts; by default 1.
        """
        _rewrite_graphs(self._rewritten)
        for index, generator in enumerate(_seed_generators(self.network)):
            generator.state.assign([seed, index])
        numbers = {name: tf.constant(float(params[name]), tf.float32) for name in NUMBERS}
        weights = np.ones(self._num_classes, np.float32) if class_weights is None else class_weights
        loss, correct = tf.constant(0.0), tf.constant(0)
        steps = images = 0
        for chunk in chunks:
            own_rates = rates[steps : steps + len(chunk.order)]
            loss, correct = self._train(
                chunk.images, chunk.labels, chunk.order, own_rates, tf.constant(steps), loss, correct,
                tf.constant(seed, tf.int32), weights, numbers,
            )  # fmt: skip
            steps, images = steps + len(chunk.order), images + chunk.order.size
        return EpochTotals(loss=float(loss) / steps, accuracy=int(correct) / images)

    def predict(self, images: Images | ImagesOnDisk) -> npt.NDArray[np.float32]:
        """Logits, float32 (N, num_classes), for uint8 images (N, H, W, C)."""
        _rewrite_graphs(self._rewritten)
        if self._evaluated is not self.network:
            self._align()
        parts = [
            self._predict(images[start : start + self._evaluation_batch]).numpy()
            for start in range(0, len(images), self._evaluation_batch)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self._num_classes), np.float32)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the network has the averaged weights, if the configuration wants them."""
        if not self._averages:
            yield
            return
        variables = self.network.trainable_variables
        trained = [variable.numpy() for variable in variables]
        for variable, average in zip(variables, self._averages, strict=True):
            variable.assign(average)
        try:
            yield
        finally:
            for variable, value in zip(variables, trained, strict=True):
                variable.assign(value)

    def state(self) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
        """The weights, and the optimizer's variables followed by the averages; not to be written to."""
        # One call: reading variables one by one takes as long as a training step of a small network.
        # Nor is it copied: what was read stays, and a variable that changes moves to another place.
        _rewrite_graphs(self._rewritten)
        values = [np.asarray(value) for value in self._read()]
        return values[: len(self.network.weights)], values[len(self.network.weights) :]

    @property
    def stock_network(self) -> keras.Model:
        """Stock layers and a softmax, for saving: who saves sets weights and dropout rates first."""
        return self._stock

    def restore(self, weights: list[npt.NDArray[Any]], rest: list[npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; raises ValueError if the shapes do not fit."""
        self.network.set_weights(weights)
        for variable, value in zip([*self.optimizer.variables, *self._averages], rest, strict=True):
            variable.assign(value)

    def _train_epoch(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        first: tf.Tensor,
        loss_before: tf.Tensor,
        correct_before: tf.Tensor,
        seed: tf.Tensor,
        class_weights: tf.Tensor,
        numbers: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on a chunk that begins with the epoch's step `first`; sums of loss and hits so far."""

        def step(index: tf.Tensor, loss_sum: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
            total_loss, total_hits = tf.constant(0.0), tf.constant(0)
            gradients: list[tf.Tensor] = []
            for part, (chosen, share) in enumerate(self._parts(order[index])):
                # The parts one after the other: side by side they would need the memory of the whole.
                with tf.control_dependencies(gradients):
                    own_seed = tf.stack([seed, first + index + part * PART_STREAM])
                    batch = tf.cast(tf.gather(images, chosen), tf.float32)
                    batch = augment(self._augmentation, batch, numbers["augmentation_strength"], own_seed)
                    hard = tf.gather(labels, chosen)
                    truth = tf.one_hot(hard, self._num_classes)
                    batch, truth = mix(self._mixing, batch, truth, numbers["mixing_strength"], own_seed)
                    importance = tf.gather(class_weights, hard)
                    loss, hits, own = self._differentiate(batch, hard, truth, importance, numbers)
                if share is not None:
                    loss, own = loss * share, [gradient * share for gradient in own]
                total_loss, total_hits = total_loss + loss, total_hits + hits
                gradients = [a + b for a, b in zip(gradients, own, strict=True)] if gradients else own
            self._apply(gradients, rates[index], numbers)
            return index + 1, loss_sum + total_loss, correct + total_hits

        _, loss_sum, correct = tf.while_loop(
            lambda index, _loss, _correct: index < tf.shape(order)[0],
            step,
            (tf.constant(0), loss_before, correct_before),
            parallel_iterations=1,
        )
        return loss_sum, correct

    def _parts(self, chosen: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
        """A batch's indices in parts, with each part's share; None: it is the whole."""
        if self._microbatches == 1:
            return [(chosen, None)]
        size = tf.shape(chosen)[0]
        edges = [size * part // self._microbatches for part in range(self._microbatches + 1)]
        return [
            (chosen[low:high], tf.cast(high - low, tf.float32) / tf.cast(size, tf.float32))
            for low, high in pairwise(edges)
        ]

    def _gradients(
        self,
        batch: tf.Tensor,
        hard: tf.Tensor,
        truth: tf.Tensor,
        importance: tf.Tensor,
        numbers: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Mean loss, hits, and the loss's gradients without L1 and L2."""
        smoothing = numbers["label_smoothing"]
        truth = truth * (1 - smoothing) + smoothing / self._num_classes
        variables = [variable.value for variable in self.network.trainable_variables]
        with tf.GradientTape() as tape:
            logits = tf.cast(self.network(batch, training=True), tf.float32)
            losses = tf.nn.softmax_cross_entropy_with_logits(truth, logits)
            if self._focal:
                losses *= _focus(logits, truth, numbers["focal_gamma"])
            loss = tf.reduce_mean(losses * importance)
        hits = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == hard, tf.int32))
        return loss, hits, tape.gradient(loss, variables)

    def _update(self, gradients: list[tf.Tensor], rate: tf.Tensor, numbers: dict[str, tf.Tensor]) -> None:
        variables = [variable.value for variable in self.network.trainable_variables]
        gradients = [
            self._regularised(gradient, variable, numbers)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        if self._clips:
            gradients, _ = tf.clip_by_global_norm(gradients, numbers["clip_norm"])
        if self._uses_decay:
            for variable in variables:
                if _is_kernel(variable):
                    variable.assign_sub(variable * (rate * numbers["weight_decay"]))
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients)
        if self._averages:
            # A young average follows closely, so that the random start is soon forgotten.
            age = tf.cast(self.optimizer.iterations.value, tf.float32)
            decay = tf.minimum(numbers["ema"], (1 + age) / (10 + age))
            for average, variable in zip(self._averages, variables, strict=True):
                average.assign_sub((1 - decay) * (average - variable))

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


def _bytes_an_image(network: keras.Model) -> int:
    """What the largest layer reads and writes of one image, in float32."""

    def size(tensors: Any) -> int:
        shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(tensors)]
        return 4 * sum(math.prod(length or 1 for length in shape) for shape in shapes)

    return max(size(layer.input) + size(layer.output) for layer in network.layers)


def _rewrite_graphs(wanted: bool) -> None:
    """Whether TensorFlow rewrites a graph before it first runs, to make it faster.

    On a CPU that takes a quarter of the time of compiling, and feed-forward networks are no faster for it:
    oneDNN's kernels take nearly all of their time. Loops inside layers are.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA to few kernels."""
    compiled: Callable[..., Any] = tf.function(function, autograph=False, jit_compile=True)
    return compiled


@contextmanager
def _computing_with(precision: Precision) -> Iterator[None]:
    """Inside, new layers compute in `precision` with float32 weights."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


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


def _focus(logits: tf.Tensor, truth: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    """(1 − p)^γ for the probability p given to the truth (Lin et al. 2017, arXiv:1708.02002)."""
    given = tf.reduce_sum(tf.nn.softmax(logits) * truth, axis=1)
    return tf.pow(tf.clip_by_value(1 - given, 1e-6, 1.0), gamma)


def _drawer(
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
