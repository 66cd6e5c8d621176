"""Convert a model, format by format: the process that `harness.deploy.converter` starts.

    python -m harness.deploy.converting MODEL.keras FOLDER

FOLDER is for files that are not kept; in it may be `training_images.npy`, uint8 (n, H, W, C). The process
reads a JSON object `{"function": "module:name", "target": PATH}` a line from standard input, has that
function of `harness.deploy.formats` write the file, and answers each with a line: `{}`, or `{"error": "…"}`.
It is a process of its own because converters talk, and because their native code may crash.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.deploy.loading import load_safely

TRAINING_IMAGES = "training_images.npy"
SIGNATURE = "serving_default"
LONGEST = 300
"""Characters of an error that are told."""


@dataclass(frozen=True)
class Convertible:
    """A network, as converters want it."""

    network: Any
    """The `keras.Model`, from raw pixels float32 (N, H, W, C), 0 to 255, to probabilities (N, K)."""
    training_images: npt.NDArray[np.uint8] | None
    """Some images that the network was trained on, uint8 (n, H, W, C)."""
    folder: Path
    """Where a SavedModel may be written, which is not kept; it does not exist."""

    @cached_property
    def function(self) -> Any:
        """The `tf.function` from `image` to a dictionary with `probabilities`."""
        import tensorflow as tf

        def probabilities(image: Any) -> dict[str, Any]:
            return {"probabilities": self.network(image, training=False)}

        return tf.function(probabilities, input_signature=[self.takes], autograph=False)

    @property
    def takes(self) -> Any:
        """The `tf.TensorSpec` of the images."""
        import tensorflow as tf

        return tf.TensorSpec((None, *self.network.input_shape[1:]), tf.float32, name="image")

    @cached_property
    def saved_model(self) -> Path:
        """A folder with the function as the only signature of a SavedModel; its weights are constants.

        LiteRT's converter would leave variables in, which have no value in its runtime.
        """
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        frozen = convert_variables_to_constants_v2(self.function.get_concrete_function())
        constant = tf.function(
            lambda image: {"probabilities": frozen(image)[0]}, input_signature=[self.takes], autograph=False
        )
        signatures = {SIGNATURE: constant.get_concrete_function()}
        tf.saved_model.save(tf.Module(), str(self.folder), signatures=signatures)
        return self.folder


def main(model: str, folder: str) -> None:
    """Convert, as the module says, until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what converters print is no answer
    images = Path(folder, TRAINING_IMAGES)
    given = np.load(images) if images.exists() else None
    convertible = Convertible(load_safely(Path(model)), given, Path(folder, f"saved_model-{os.getpid()}"))
    for line in sys.stdin:
        answers.write(json.dumps(_converted(convertible, **json.loads(line))) + "\n")


def _converted(convertible: Convertible, function: str, target: str) -> dict[str, str]:
    module, _, name = function.partition(":")
    try:
        getattr(import_module(f"harness.deploy.formats.{module}"), name)(convertible, Path(target))
    except Exception as error:  # noqa: BLE001 - converters may fail in any way
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        return {"error": reason[:LONGEST]}
    return {}


if __name__ == "__main__":
    main(*sys.argv[1:])
