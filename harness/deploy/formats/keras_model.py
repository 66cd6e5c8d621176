"""The model as Keras saves it: stock layers, so that nothing but Keras is needed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from harness.deploy.formats.format import ExportFormat, ModelToExport, zeros
from harness.paths.bundle import KERAS_MODEL
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.deploy.formats.format import Images
    from harness.deploy.runtimes.answers import Answers


def _write(model: ModelToExport, target: Path) -> None:
    shutil.copyfile(model.file, target)


def _answer(file: Path, _: Dataset, images: Images) -> Answers:
    from harness.deploy.loading import load_safely
    from harness.deploy.predicting import predict_on_cpu
    from harness.deploy.runtimes.answers import answers_here

    network = load_safely(file)
    return answers_here(lambda some: predict_on_cpu(network, some), images)


def _usage(dataset: Dataset, _: tuple[str, ...]) -> str:
    return f"""With Keras:

```python
import keras, numpy as np
model = keras.saving.load_model("{KERAS_MODEL}")
probabilities = model({zeros(dataset)})
```
"""


FORMAT = ExportFormat(
    file=KERAS_MODEL,
    title="Keras model",
    about="Stock Keras layers, from raw pixels 0…255 to probabilities.",
    write=_write,
    answer=_answer,
    usage=_usage,
    runtime=("keras", "tensorflow"),
)
