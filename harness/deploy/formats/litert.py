"""What the LiteRT formats have in common: how they are converted, tried, used and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.deploy.formats.format import ExportFormat, ModelToExport, zeros
from harness.deploy.tolerance import FLOAT32, Tolerance
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.deploy.converting import Convertible
    from harness.deploy.formats.format import Images
    from harness.deploy.runtimes.answers import Answers

LOOPS = ("GRU", "LSTM", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""Layers of Keras that loop over the steps of a sequence."""


def fp32(model: Convertible, target: Path) -> None:
    """Write the file with weights of float32, in the process that converts."""
    target.write_bytes(_converter(model).convert())


def fp16(model: Convertible, target: Path) -> None:
    """Write the file with weights of float16, in the process that converts."""
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    target.write_bytes(converter.convert())


def int8(model: Convertible, target: Path) -> None:
    """Write the file with weights and activations of int8, in the process that converts.

    Input and output stay float32, so that the file takes what the others take.
    """
    import tensorflow as tf

    images = model.training_images
    assert images is not None
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        {"image": images[index : index + 1].astype("float32")} for index in range(len(images))
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    target.write_bytes(converter.convert())


def _converter(model: Convertible) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(
        str(model.saved_model), signature_keys=["serving_default"]
    )


def refuses(network: Any) -> str:
    """Why a `keras.Model` cannot be a LiteRT model, in a sentence; empty if nothing speaks against it."""
    kinds = {type(layer).__name__ for layer in _layers(network)}
    found = [name for name in LOOPS if name in kinds]
    if not found:
        return ""
    return (
        f"LiteRT has no operations for the loops of {' and '.join(found)} layers over batches of any size, "
        "and crashes on them with a fixed one."
    )


def _layers(layer: Any) -> Iterator[Any]:
    """All layers of a model, also those inside of others."""
    for inner in (
        *getattr(layer, "layers", ()),
        getattr(layer, "forward_layer", None),
        getattr(layer, "layer", None),
    ):
        if inner is not None:
            yield inner
            yield from _layers(inner)


def litert_format(
    kind: str, about: str, tolerance: Tolerance = FLOAT32, *, needs_training_images: bool = False
) -> ExportFormat:
    """A format of LiteRT.

    Args:
        kind: how numbers are stored, the name of a function above.
        about: a sentence for people.
        tolerance: how far it may be from the trained model.
        needs_training_images: whether it is quantised by them.
    """
    file = f"model_{kind}.tflite"

    def write(model: ModelToExport, target: Path) -> None:
        model.convert(f"litert:{kind}", target)

    return ExportFormat(
        file=file,
        title=f"LiteRT model ({kind})",
        about=about,
        write=write,
        answer=_answer,
        usage=_usage,
        extra="litert",
        packages=("ai-edge-litert",),
        runtime=("ai-edge-litert",),
        tolerance=tolerance,
        needs_training_images=needs_training_images,
        refuses=refuses,
    )


def _answer(file: Path, _: Dataset, images: Images) -> Answers:
    from harness.deploy.runtimes.answers import answers_of

    return answers_of("litert_runtime", file, images)


def _usage(dataset: Dataset, _: tuple[str, ...]) -> str:
    return f"""With LiteRT, any of the `.tflite` files:

```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter
classify = Interpreter("FILE.tflite").get_signature_runner()
probabilities = classify(image={zeros(dataset)})["probabilities"]
```
"""
