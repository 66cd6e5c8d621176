"""The compiled program of one program key: a network, an optimizer, one epoch and a prediction.

Of a network with a body that is not trained, the program has the head alone and is fed features. Where some
of the body is trained, it has the whole network, and is fed pixels.

Tracing a network costs seconds, so everything that is only a number (learning rates, dropout, L1,
L2, weight decay, label smoothing, augmentation strength) enters as a tensor or variable, and the
program is used again for every trial with the same key. About a second of an epoch is one call: a loop
inside the graph gathers batches from the resident uint8 images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.experiment.parameters import known_parameter, multiply_adds
from harness.model.network import ImageShape, frames_in
from harness.model.optimizers import OPTIMIZERS
from harness.model.preprocessing import PixelStatistics
from harness.records import Params, Precision
from harness.train.batching import BatchIndices
from harness.train.body import FrozenBody
from harness.train.graphs import fused, rewrite_graphs
from harness.train.images import Chunk, OnDisk
from harness.train.networks import networks
from harness.train.packing import chosen_pixels, on_gpu, words
from harness.train.pulses import Beat, Pace, unheard
from harness.train.reusable import seed_generators
from harness.train.state import State, assign, named_variables
from harness.train.step import TENSOR_PARAMETERS, StepKind, epoch_function
from harness.train.update_rule import Group, update_rule, weight_groups

EVALUATION_BATCH = {"CPU": 512, "GPU": 4096}
"""The most images that are predicted at a time, by kind of device."""
EVALUATION_BYTES = {"CPU": 512 << 20, "GPU": 2 << 30}
"""The most bytes that the largest layer's input and output may take for them, by kind of device: where it
would be more, fewer images are predicted at a time."""
EVALUATION_WORK = {"CPU": 2e10, "GPU": 2e12}
"""The most multiply-adds that they may take, by kind of device: about a second's."""


@dataclass(frozen=True, slots=True)
class EpochTotals:
    """What one training epoch measured, averaged over its images (augmented, dropout on)."""

    loss: float
    """Cross-entropy with label smoothing, without L1 and L2."""
    accuracy: float


class Program:
    """Compiled train and predict functions; hold one per key and reuse it."""

    def __init__(
        self,
        params: Params,
        image_shape: ImageShape,
        num_classes: int,
        statistics: PixelStatistics,
        microbatches: int = 1,
        precision: Precision = "float32",
        body: FrozenBody | None = None,
    ) -> None:
        """Build the network; it is traced when it is first used.

        Args:
            params: complete parameters.
            image_shape: height, width, channels; of clips, before them the frames.
            num_classes: length of the logits.
            statistics: of the training images.
            microbatches: parts that each batch is cut into to save memory, their gradients added up.
            precision: what layers compute with in training, as in Micikevicius et al. 2018
                (arXiv:1710.03740). Weights, optimizer, loss and predictions are float32 in any case, and so
                is the model that is saved; bfloat16 has float32's range and needs no scaling of the loss.
            body: has weights that come from elsewhere; None: there are none. The program is fed the features
                that it makes, in the place of images, unless a part of it is to be trained too.
        """
        self._rate = tf.Variable(0.0, trainable=False, name="dropout_rate")
        made = networks(params, image_shape, num_classes, statistics, precision, body, self._rate)
        self._made, self.network, self._evaluated = made, made.trained, made.evaluated
        self._groups = weight_groups(
            self.network, made.unfrozen, lambda: OPTIMIZERS[str(params["optimizer"])](params)
        )
        optimizers = {_slots_of(group): group.optimizer for group in self._groups}
        self._optimizer_start = [
            (variable, variable.numpy())
            for optimizer in optimizers.values()
            for variable in optimizer.variables
        ]
        self._averages = [
            tf.Variable(variable, trainable=False)
            for variable in self.network.trainable_variables
            if float(params["ema"]) > 0
        ]
        """Exponential moving averages of the weights, if the configuration wants them."""
        constant = [layer for layer in made.body_layers if not layer.trainable]
        self._variables = named_variables(self.network, optimizers, self._averages, constant)
        self._optional = self._of_body()
        self._num_classes = num_classes
        self._pace = Pace()
        # XLA pays on a GPU only: on a CPU oneDNN's kernels are several times faster. It gets the network and
        # the update, not the loop around them: some augmentations it cannot compile.
        # Nor can it compile a GPU's own kernels for recurrent layers.
        self.precision: Precision = precision
        """What layers compute with in training."""
        gpu = on_gpu()
        layers = list(self.network._flatten_layers())
        compilable = all(layer.supports_jit for layer in layers)
        self.is_fused = gpu and compilable
        """Whether XLA compiles it."""
        fuse = fused if self.is_fused else lambda function: function
        rule = update_rule(params, self._groups, self.network.trainable_variables, self._averages)
        work = multiply_adds(params, image_shape) or 0.0
        inputs = tf.TensorSpec(
            (None, *made.stock.input_shape[1:]), tf.uint8 if self.takes_pixels else tf.float32
        )
        pictures, device = max(1, frames_in(image_shape)), "GPU" if gpu else "CPU"
        self._evaluation_batch = _evaluation_batch(device, self._evaluated, work, pictures)
        loops = any(isinstance(layer, keras.layers.RNN) for layer in layers)
        self._rewritten = gpu or loops or "model" in params
        shape, fed, pick = made.stock.input_shape[1:], inputs, tf.gather
        if gpu and self.takes_pixels:
            fed, pick = tf.TensorSpec((None, words(shape)), tf.int64), partial(chosen_pixels, shape=shape)
        self._train = tf.function(
            epoch_function(StepKind.of(params, num_classes, microbatches), self.network, rule, fuse, pick),
            autograph=False,
            input_signature=[
                fed,
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((), tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((num_classes,), tf.float32),
                {name: tf.TensorSpec((), tf.float32) for name in TENSOR_PARAMETERS},
            ],
        )
        self._read = tf.function(
            lambda: [tf.identity(variable) for variable in self._variables.values()],
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
            input_signature=[inputs],
        )

    def reset(self, seed: int, dropout: float) -> None:
        """Start a trial: fresh weights drawn from `seed`, a fresh optimizer, this dropout rate.

        Weights that come from elsewhere are those again.
        """
        self._made.draw(seed)
        for average, weight in zip(self._averages, self.network.trainable_variables, strict=False):
            average.assign(weight)
        for variable, value in self._optimizer_start:
            variable.assign(value)
        self._rate.assign(dropout)

    def train_epoch(
        self,
        chunks: Iterable[Chunk],
        rates: npt.NDArray[np.float32],
        seed: int,
        params: Params,
        class_weights: npt.NDArray[np.float32] | None = None,
        beat: Beat = unheard,
    ) -> EpochTotals:
        """Train one epoch.

        Args:
            chunks: the epoch's batches; into how many chunks and pulses they are cut changes nothing.
            rates: float32 (steps,), the learning rates.
            seed: decides dropout and augmentation of this epoch.
            params: the numbers named in `TENSOR_PARAMETERS` are read.
            class_weights: float32 (num_classes,), what an image of each class counts; by default 1.
            beat: called after every pulse.
        """
        rewrite_graphs(self._rewritten)
        for index, generator in enumerate(seed_generators(self.network)):
            generator.state.assign([seed, index])
        model = str(params["model"]) if "model" in params else None
        numbers = {
            # A plug-in's own parameter may have the name of one that only families have.
            name: tf.constant(float(params[name]) if known_parameter(name, model) else 0.0, tf.float32)
            for name in TENSOR_PARAMETERS
        }
        weights = np.ones(self._num_classes, np.float32) if class_weights is None else class_weights
        loss, correct = tf.constant(0.0), tf.constant(0)
        steps = images = 0
        for chunk in chunks:
            for indices in self._pulses(chunk):
                began = time.monotonic()
                own_rates = rates[steps : steps + len(indices)]
                loss, correct = self._train(
                    chunk.images, chunk.labels, indices, own_rates, tf.constant(steps), loss, correct,
                    tf.constant(seed, tf.int32), weights, numbers,
                )  # fmt: skip
                loss.numpy()  # a GPU computes it only now
                self._pace.learn(len(indices), time.monotonic() - began)
                steps, images = steps + len(indices), images + indices.size
                beat(steps / len(rates))
        return EpochTotals(loss=float(loss) / steps, accuracy=int(correct) / images)

    def _pulses(self, chunk: Chunk) -> Iterator[BatchIndices]:
        """The chunk's batches, some at a time: int32 (steps, batch)."""
        first = 0
        while first < len(chunk.indices):
            last = first + self._pace.steps
            yield chunk.indices[first:last]
            first = last

    def predict(self, images: npt.NDArray[Any] | OnDisk, beat: Beat = unheard) -> npt.NDArray[np.float32]:
        """Logits, float32 (N, num_classes); `beat` hears of every batch.

        Args:
            images: uint8 (N, H, W, C), or the features that a body has made of them, float32 (N, F).
            beat: called with the share that is done.
        """
        rewrite_graphs(self._rewritten)
        if self._evaluated is not self.network:
            self._align()
        parts = []
        for start in range(0, len(images), self._evaluation_batch):
            parts.append(self._predict(images[start : start + self._evaluation_batch]).numpy())
            beat(min(1.0, (start + self._evaluation_batch) / len(images)))
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

    @property
    def names(self) -> list[str]:
        """The names of the state's arrays, in their order."""
        return list(self._variables)

    def state(self) -> State:
        """Weights, the optimizer's variables and averages, by name; not to be written to."""
        # One call: reading variables one by one takes as long as a training step of a small network.
        # Nor is it copied: what was read stays, and a variable that changes moves to another place.
        rewrite_graphs(self._rewritten)
        values = [np.asarray(value) for value in self._read()]
        return dict(zip(self._variables, values, strict=True))

    @property
    def takes_pixels(self) -> bool:
        """Whether it is fed raw pixels, and not the features that a body makes of them."""
        return self._made.takes_pixels

    @property
    def stock_network(self) -> keras.Model:
        """Stock layers and a softmax, from raw pixels on, for saving: who saves sets dropout rates, and the
        weights of `stock_part`, first."""
        return self._made.whole

    @property
    def stock_part(self) -> keras.Model:
        """The layers of `stock_network` that are trained: they have the weights that `network` has."""
        return self._made.stock

    def restore(self, state: State) -> None:
        """Go on from what `state` returned; call `reset` before.

        What a trial trained before its body was unfrozen has nothing of the body: this stays as it is.

        Raises:
            UnfitError: it is the state of another network.
        """
        assign(self._variables, state, self._optional)

    def _of_body(self) -> frozenset[str]:
        """The names of what belongs to weights of a body that are trained."""
        trained = self.network.trainable_variables
        head = self._groups[0]
        own = {id(trained[place]) for place in head.places}
        own |= {id(variable) for variable in head.optimizer.variables}
        own |= {id(self._averages[place]) for place in head.places if self._averages}
        others = {id(variable) for variable in self.network.non_trainable_variables}
        return frozenset(name for name, one in self._variables.items() if id(one) not in own | others)


def _slots_of(group: Group) -> str:
    """What the names of a group's slots begin with."""
    return "" if group.depth is None else f"unfrozen_{group.depth}/"


def _evaluation_batch(device: str, network: keras.Model, work: float, pictures: int) -> int:
    """How many images are predicted at a time.

    Args:
        device: its kind.
        network: that predicts.
        work: multiply-adds for an image; 0 if nobody knows.
        pictures: that make an image: 1, or a clip's frames.
    """
    by_bytes = EVALUATION_BYTES[device] // (pictures * _bytes_an_image(network))
    by_work = int(EVALUATION_WORK[device] / max(work, 1.0))
    return max(1, min(EVALUATION_BATCH[device], by_bytes, by_work))


def _bytes_an_image(network: keras.Model) -> int:
    """What the largest layer reads and writes of one image, in float32."""

    def size(tensors: Any) -> int:
        shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(tensors)]
        return 4 * sum(math.prod(length or 1 for length in shape) for shape in shapes)

    return max(size(layer.input) + size(layer.output) for layer in network.layers)
