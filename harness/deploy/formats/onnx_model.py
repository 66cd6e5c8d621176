"""The model as ONNX, for onnxruntime and whatever else reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.deploy.formats.format import ExportFormat, ModelToExport, zeros
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.deploy.converting import Convertible
    from harness.deploy.formats.format import Images
    from harness.deploy.runtimes.answers import Answers

FILE = "model.onnx"
OPSET = 18
"""The version of ONNX's operators that is written."""


def convert(model: Convertible, target: Path) -> None:
    """Write the ONNX file, in the process that converts."""
    import tf2onnx

    tf2onnx.convert.from_function(
        model.function, input_signature=[model.takes], opset=OPSET, output_path=str(target)
    )


def _write(model: ModelToExport, target: Path) -> None:
    model.convert("onnx_model:convert", target)


def _answer(file: Path, _: Dataset, images: Images) -> Answers:
    from harness.deploy.runtimes.answers import answers_of

    return answers_of("onnx_runtime", file, images)


def _usage(dataset: Dataset, _: tuple[str, ...]) -> str:
    return f"""With onnxruntime:

```python
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("{FILE}")
(probabilities,) = session.run(["probabilities"], {{"image": {zeros(dataset)}}})
```
"""


FORMAT = ExportFormat(
    file=FILE,
    title="ONNX model",
    about="ONNX in float32, from raw pixels 0…255 to probabilities, for batches of any size.",
    write=_write,
    answer=_answer,
    usage=_usage,
    extra="onnx",
    packages=("tf2onnx", "onnx", "onnxruntime"),
    runtime=("onnxruntime",),
)
