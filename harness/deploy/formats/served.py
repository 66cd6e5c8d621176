"""A SavedModel that was loaded: what its signature for image files sees, and whether its names are right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.deploy.formats.format import SeenFile
from harness.errors import ExportError

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.deploy.formats.format import Probabilities

FROM_FILES = "serving_bytes"
DECODED = "decode_bytes"


def read_file(served: Any, classes: tuple[str, ...], content: bytes) -> SeenFile | str:
    """What the model has seen in the bytes of an image file, or why it refuses them."""
    import tensorflow as tf

    from harness.deploy.quiet import without_stderr

    contents = tf.constant([content])
    try:
        with without_stderr():  # decoders written in C say something about files that are cut off
            answer = served[FROM_FILES](image_bytes=contents)
            pixels = served[DECODED](image_bytes=contents)["image"].numpy()[0]
    except tf.errors.OpError as error:
        found = re.search(r"\[image_bytes\[0\] (.*?)\]\n", str(error))
        return f"the file {found[1]}" if found else "the file is damaged."
    probabilities = answer["probabilities"].numpy()
    check_names(answer["class"].numpy(), probabilities, classes)
    return SeenFile(pixels, probabilities[0])


def check_names(named: npt.NDArray[Any], probabilities: Probabilities, classes: tuple[str, ...]) -> None:
    """Raises ExportError unless the class names that a signature gave fit its probabilities.

    Args:
        named: UTF-8 bytes, (N,).
        probabilities: float32 (N, K).
        classes: names in the order of the outputs, K.
    """
    expected = [classes[index] for index in probabilities.argmax(axis=1)]
    if [name.decode() for name in named] != expected:
        raise ExportError("The exported SavedModel gives class names that do not fit its probabilities.")
