"""Batches from the prepared cache, gathered inside the graph from resident uint8 images."""

from __future__ import annotations

import time

from benchmarks.arms.job import read_job, tell
from harness.data.arrays import load


def main() -> None:
    job = read_job()
    import tensorflow as tf

    from harness.train.batching import shuffled_batches

    began = time.perf_counter()
    images, labels = load(job.dataset).train()
    resident, truth = tf.constant(images), tf.constant(labels)
    tell("opened", {}, elapsed=time.perf_counter() - began)

    @tf.function(autograph=False)
    def epoch(pixels: tf.Tensor, classes: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = tf.cast(tf.gather(pixels, order[index]), tf.float32)
            own = tf.reduce_sum(batch[:, 0, 0, 0]) + tf.reduce_sum(
                tf.cast(tf.gather(classes, order[index]), tf.float32)
            )
            return index + 1, total + own

        start = (tf.constant(0), tf.constant(0.0))
        _, total = tf.while_loop(lambda index, _: index < tf.shape(order)[0], step, start)
        return total

    for number in range(1, job.epochs + 1):
        began = time.perf_counter()
        float(epoch(resident, truth, shuffled_batches(len(labels), 64, job.seed, number)))
        tell("epoch", {}, epoch=number, elapsed=time.perf_counter() - began, images=len(labels))


if __name__ == "__main__":
    main()
