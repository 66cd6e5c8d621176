"""The SavedModel of a bundle: one network, and signatures for pixels of any type and for image files.

    serving_default(image)        float32 (N, H, W, C), raw pixels 0…255
    serving_uint8(image)          the same as uint8; likewise serving_int32, serving_int64, serving_float64
    serving_bytes(image_bytes)    string (N,), the bytes of image files of any size
    decode_bytes(image_bytes)     what the model sees of such files: `image`, uint8 (N, H, W, C)

All but the last answer with `probabilities`, `class_index` and `class`.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from harness.deploy.loading import quiet_keras
from harness.records import Dataset

PIXEL_TYPES = ("uint8", "int32", "int64", "float64")
"""Beside float32, whose signature is the default one."""


def write_saved_model(target: Path, model: Any, dataset: Dataset, max_pixels: int) -> None:
    """Write the folder `target`.

    Args:
        target: must not exist.
        model: Keras network from raw pixels to probabilities.
        dataset: shape, classes and range of pixels.
        max_pixels: larger image files are refused.
    """
    keras = quiet_keras()
    import tensorflow as tf

    from harness.deploy.graph.decode import Target, decode_batch

    height, width, channels = dataset.image_shape
    shape = (None, height, width, channels)
    files = Target(height, width, channels, dataset.pixel_range, max_pixels)
    archive = keras.export.ExportArchive()
    archive.track(model)
    names = tf.constant(dataset.classes)

    def answer(images: Any) -> dict[str, Any]:
        probabilities = model(images, training=False)
        best = tf.argmax(probabilities, axis=1, output_type=tf.int32)
        return {"probabilities": probabilities, "class_index": best, "class": tf.gather(names, best)}

    # The network and the decoder are traced once, and called by all that need them.
    shared = tf.function(answer, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    decoded = tf.function(
        lambda image_bytes: decode_batch(image_bytes, files), autograph=False
    ).get_concrete_function(tf.TensorSpec((None,), tf.string))

    def of_pixels(image: Any) -> Any:
        return shared(tf.cast(image, tf.float32))

    def of_files(image_bytes: Any) -> Any:
        return of_pixels(decoded(image_bytes))

    def seen(image_bytes: Any) -> Any:
        return {"image": decoded(image_bytes)}

    archive.add_endpoint("serving_default", of_pixels, [tf.TensorSpec(shape, tf.float32, name="image")])
    for kind in PIXEL_TYPES:
        archive.add_endpoint(f"serving_{kind}", of_pixels, [tf.TensorSpec(shape, kind, name="image")])
    contents = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive.add_endpoint("serving_bytes", of_files, [contents])
    archive.add_endpoint("decode_bytes", seen, [contents])
    # Keras reports to standard output, which belongs to our caller.
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(str(target), verbose=False)
