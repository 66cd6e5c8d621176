"""A bare compiled loop: resident data, programs cached by program key, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from harness.data.arrays import load
from harness.data.sealed import open_sealed
from harness.experiment.keys import program_key
from harness.model.preprocessing import PixelStatistics
from harness.model.schedules import learning_rates
from harness.records import Dataset, Params, Precision
from harness.seeds import seed_from
from harness.train.batching import batch_indices, class_weights
from harness.train.images import Chunk
from harness.train.program import Program


class BareLoop:
    """What one worker process needs to train configurations on one data set."""

    def __init__(self, dataset: Dataset, precision: Precision = "float32") -> None:
        self._dataset, self._precision = dataset, precision
        arrays = load(dataset)
        images, labels = arrays.train()
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        self._order_labels = np.asarray(labels)
        self._validation = arrays.validation()
        self._programs: dict[str, Program] = {}

    def train(
        self,
        params: Params,
        seed: int,
        epochs: int,
        max_epochs: int,
        told: Callable[[int, float], None],
        cycles: tuple[int, ...] = (),
    ) -> Program:
        """Train from the start; `told(epoch, validation accuracy)` after each epoch."""
        classes = len(self._dataset.classes)
        key = program_key(params)
        if key not in self._programs:
            # `scaling` is `rescale` in every configuration, which reads no statistics.
            unused = PixelStatistics((0.0,) * 3, (1.0,) * 3)
            self._programs[key] = Program(
                params, self._dataset.image_shape, classes, unused, precision=self._precision
            )
        program = self._programs[key]
        program.reset(seed_from(seed, "weights"), dropout=float(params["dropout"]))
        for epoch in range(1, epochs + 1):
            order = batch_indices(self._order_labels, params, seed, epoch)
            program.train_epoch(
                [Chunk(self._images, self._labels, order)],
                learning_rates(params, epoch, max_epochs, len(order), cycles),
                seed_from(seed, epoch),
                params,
                class_weights(self._order_labels, params, classes),
            )
            images, labels = self._validation
            told(epoch, accuracy(program, images, labels))
        return program

    def test_accuracy(self, program: Program) -> float:
        images, labels = open_sealed(self._dataset)
        return accuracy(program, images[:], labels)


def accuracy(program: Program, images: np.ndarray, labels: np.ndarray) -> float:
    with program.averaged():
        return float(np.mean(program.predict(images).argmax(axis=1) == labels))
