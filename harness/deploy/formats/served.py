"""A SavedModel that was loaded: its signatures for pixels and for image files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.deploy.formats.format import SeenFile
from harness.errors import ExportError

if TYPE_CHECKING:
    from harness.deploy.formats.format import Images, Probabilities

FROM_FILES = "serving_bytes"
DECODED = "decode_bytes"


def predict(signature: Any, kind: str, classes: tuple[str, ...], images: Images) -> Probabilities:
    """The answer of a signature for pixels; raises ExportError if it contradicts itself.

    Args:
        signature: takes `image`.
        kind: the type of pixels that it takes.
        classes: names in the order of the outputs.
        images: raw pixels, uint8 (N, H, W, C).
    """
    import tensorflow as tf

    answer = signature(image=tf.constant(images.astype(kind)))
    _check_names(answer, classes)
    probabilities: Probabilities = answer["probabilities"].numpy()
    return probabilities


def read_file(served: Any, classes: tuple[str, ...], content: bytes) -> SeenFile | str:
    """What the model has seen in the bytes of an image file, or why it refuses them."""
    import tensorflow as tf

    from harness.deploy.quiet import without_stderr

    contents = tf.constant([content])
    try:
        with without_stderr():  # decoders written in C say something about files that are cut off
            answer = served[FROM_FILES](image_bytes=contents)
    except tf.errors.OpError as error:
        found = re.search(r"\[image_bytes\[0\] (.*?)\]\n", str(error))
        return f"the file {found[1]}" if found else "the file is damaged."
    _check_names(answer, classes)
    pixels = served[DECODED](image_bytes=contents)["image"].numpy()[0]
    return SeenFile(pixels, answer["probabilities"].numpy()[0])


def _check_names(answer: Any, classes: tuple[str, ...]) -> None:
    """Raises ExportError unless the class names that a signature gave fit its probabilities."""
    named = [name.decode() for name in answer["class"].numpy()]
    if named != [classes[index] for index in answer["probabilities"].numpy().argmax(axis=1)]:
        raise ExportError("The exported SavedModel gives class names that do not fit its probabilities.")
