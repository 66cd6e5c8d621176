"""Batches from `keras.utils.image_dataset_from_directory`, cached, shuffled and prefetched as documented."""

from __future__ import annotations

import time

from benchmarks.arms.job import read_job, tell

SHUFFLE_BATCHES = 1000


def main() -> None:
    job = read_job()
    import keras
    import tensorflow as tf

    height, width, _ = job.dataset.image_shape
    began = time.perf_counter()
    found = keras.utils.image_dataset_from_directory(
        job.source["source"], image_size=(height, width), batch_size=64, seed=job.seed, verbose=False
    )
    pipeline = found.cache().shuffle(SHUFFLE_BATCHES).prefetch(tf.data.AUTOTUNE)
    tell("opened", {}, elapsed=time.perf_counter() - began)

    def add(total: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return total + tf.reduce_sum(batch[0][:, 0, 0, 0]) + tf.reduce_sum(tf.cast(batch[1], tf.float32))

    for number in range(1, job.epochs + 1):
        began = time.perf_counter()
        float(pipeline.reduce(tf.constant(0.0), add))
        tell("epoch", {}, epoch=number, elapsed=time.perf_counter() - began, images=len(found.file_paths))


if __name__ == "__main__":
    main()
