"""What a bundle says of itself: `metadata.json` for programs, `README.md` for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.deploy.files_parity import FilesParity
from harness.deploy.parity import Parity
from harness.deploy.saved_model import PIXEL_TYPES
from harness.records import Dataset

SHOWN_CLASSES = 20


def metadata(
    dataset: Dataset,
    provenance: dict[str, Any],
    parity: Sequence[Parity | FilesParity],
    files: FilesParity,
) -> dict[str, Any]:
    """The content of `metadata.json`."""
    height, width, channels = dataset.image_shape
    return {
        "format": 1,
        "input": {
            "height": height,
            "width": width,
            "channels": channels,
            "color": "grey" if channels == 1 else "rgb",
            "dtype": "float32",
            "range": [0, 255],
            "note": "raw pixels; scaling is inside the model",
            "signatures": {
                "serving_default": "float32",
                **{f"serving_{kind}": kind for kind in PIXEL_TYPES},
                "serving_bytes": "image files",
                "decode_bytes": "image files; answers with the pixels that the model sees",
            },
            "files": {
                "read": files.read,
                "refused": files.refused,
                "refused_of_dataset": files.refused_kinds,
                "orientation": "EXIF and XMP orientation is applied",
                "transparency": "laid on white",
                "more_than_8_bits": _depth(dataset),
                "size": "the whole picture is scaled, whatever its proportions",
            },
        },
        "output": {"kind": "probabilities", "classes": list(dataset.classes)},
        "dataset": {"name": dataset.name, "digest": dataset.digest, "counts": dataset.counts},
        "parity": [asdict(one) for one in parity],
        "provenance": provenance,
    }


def readme(dataset: Dataset, files: FilesParity) -> str:
    """The content of `README.md`."""
    height, width, channels = dataset.image_shape
    colours = "grey" if channels == 1 else "red, green and blue"
    warnings = "".join(f"\n**Note:** {warning}\n" for warning in files.warnings())
    return f"""# An image classifier

Classes: {", ".join(dataset.classes[:SHOWN_CLASSES])}{" …" if len(dataset.classes) > SHOWN_CLASSES else ""}
Input: {height}×{width} pixels, {channels} channel{"s" * (channels > 1)}, values 0 to 255.
Output: probabilities.

With Keras:

```python
import keras, numpy as np
model = keras.saving.load_model("model.keras")
probabilities = model(np.zeros((1, {height}, {width}, {channels}), "float32"))
```

With TensorFlow, from the bytes of image files of any size ({", ".join(files.read)}):

```python
import tensorflow as tf
classify = tf.saved_model.load("saved_model").signatures["serving_bytes"]
print(classify(image_bytes=tf.constant([open("picture.jpg", "rb").read()]))["class"])
```

A file becomes the pixels that training saw of it:

- turned as its EXIF or XMP orientation says,
- transparency laid on white,
- {_depth(dataset)},
- of animations the first picture,
- made {colours},
- the whole picture scaled to {height}×{width}, whatever its proportions.

Files of other formats ({", ".join(files.refused)} …), damaged ones and what is no image are refused, with an
error that says which one of the batch, and why. The signature `decode_bytes` answers with the pixels that the
model sees.
{warnings}
From decoded pixels: `serving_default(image)` takes float32, or any numbers as a NumPy array or a list;
tensors of other types have signatures of their own: {", ".join(f"`serving_{kind}`" for kind in PIXEL_TYPES)}.

`labels.txt` has the classes in the order of the outputs, `metadata.json` where the model comes from.
Check the files with `sha256sum -c SHA256SUMS`.
"""


def _depth(dataset: Dataset) -> str:
    """What becomes of files with more than 8 bits a channel."""
    if dataset.pixel_range is None:
        return "of 16 bits a channel the upper 8 kept"
    low, high = dataset.pixel_range
    return f"in files of 16 bits a channel the values from {low:g} to {high:g} spread over 0 to 255"
