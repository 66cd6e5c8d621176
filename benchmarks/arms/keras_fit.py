"""The same networks and mathematics with `compile` and `fit`, for tools without a training of their own.

As Keras and tf.data advise: logits with a loss from logits, uint8 in memory and cast in the pipeline,
shuffled, batched, prefetched, several steps an execution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from benchmarks.arms.job import Job, tell
from benchmarks.arms.processes import threads_of
from harness.data.arrays import load
from harness.model.network import build
from harness.model.preprocessing import PixelStatistics
from harness.records import Dataset, Params

STEPS_PER_EXECUTION = 16
EVALUATION_BATCH = 512
UNDECAYED = ["bias", "gamma", "beta"]

OPTIMIZERS: dict[str, Callable[[float, Params], keras.Optimizer]] = {
    "momentum": lambda rate, params: keras.optimizers.SGD(rate, momentum=params["momentum"]),
    "nesterov": lambda rate, params: keras.optimizers.SGD(rate, momentum=params["momentum"], nesterov=True),
    "rmsprop": lambda rate, _: keras.optimizers.RMSprop(rate),
    "adam": lambda rate, _: keras.optimizers.Adam(rate),
    "adamw": lambda rate, params: keras.optimizers.AdamW(rate, weight_decay=params["weight_decay"]),
}


def set_up(job: Job) -> None:
    """For an operation the worker's share of the cores; call before anything is computed."""
    if tf.config.threading.get_intra_op_parallelism_threads() == 0:  # a process may be used again
        tf.config.threading.set_intra_op_parallelism_threads(threads_of(job))


def compiled(params: Params, job: Job) -> keras.Model:
    """The network of a configuration, in the job's precision."""
    # Here and not once, for `clear_session`, which KerasTuner calls before each trial, forgets the policy.
    keras.config.set_dtype_policy(job.policy)
    # `scaling` is `rescale` in every configuration, which reads no statistics.
    statistics = PixelStatistics((0.0,) * 3, (1.0,) * 3)
    plain = build(params, job.dataset.image_shape, len(job.dataset.classes), statistics)
    penalty = keras.regularizers.L2(float(params["l2"]))

    def with_penalty(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if "kernel_regularizer" in config:
            config["kernel_regularizer"] = penalty
        if layer is plain.layers[-1]:
            config["dtype"] = "float32"  # as Keras advises for what a model puts out
        return type(layer).from_config(config)

    network = keras.models.clone_model(plain, clone_function=with_penalty)
    optimizer = OPTIMIZERS[str(params["optimizer"])](float(params["learning_rate"]), params)
    if params["optimizer"] == "adamw":
        optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    network.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    return network


def pipelines(params: Params, dataset: Dataset) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Training and validation batches."""
    arrays = load(dataset)
    images, labels = arrays.train()

    def prepared(batch: tf.Tensor, truth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.cast(batch, tf.float32)
        if params["augmentation"] == "flip":
            batch = tf.image.random_flip_left_right(batch)
        return batch, truth

    train = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels))
    train = train.batch(int(params["batch_size"])).map(prepared, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    held = tf.data.Dataset.from_tensor_slices(arrays.validation()).batch(EVALUATION_BATCH)
    held = held.map(lambda batch, truth: (tf.cast(batch, tf.float32), truth), tf.data.AUTOTUNE)
    return train, held.cache().prefetch(tf.data.AUTOTUNE)


class Telling(keras.callbacks.Callback):
    """Tells every epoch's validation accuracy; `earlier` epochs were trained before."""

    def __init__(self, params: Params, earlier: int = 0) -> None:
        super().__init__()
        self._params = params
        self._earlier = earlier

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        accuracy = float((logs or {})["val_accuracy"])
        tell("epoch", self._params, epoch=self._earlier + epoch + 1, accuracy=accuracy)


def fit(
    params: Params, job: Job, callbacks: list[keras.callbacks.Callback] | None = None
) -> tuple[keras.Model, keras.callbacks.History]:
    """One full training."""
    keras.utils.set_random_seed(job.seed)
    network = compiled(params, job)
    train, held = pipelines(params, job.dataset)
    history = network.fit(
        train,
        validation_data=held,
        epochs=job.epochs,
        verbose=0,
        callbacks=[Telling(params), *(callbacks or [])],
    )
    return network, history
