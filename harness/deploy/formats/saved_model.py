"""The SavedModel of a bundle: one network, and signatures for pixels of any type and for image files.

    serving_default(image)        float32 (N, H, W, C), raw pixels 0…255
    serving_uint8(image)          the same as uint8; likewise serving_int32, serving_int64, serving_float64
    serving_bytes(image_bytes)    string (N,), the bytes of image files of any size
    decode_bytes(image_bytes)     what the model sees of such files: `image`, uint8 (N, H, W, C)

All but the last answer with `probabilities`, `class_index` and `class`. A model of clips takes
(N, T, H, W, C), and has no signatures for files: TensorFlow's graphs have no decoder of videos.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.deploy.formats.format import ExportFormat, FileReader, ModelToExport, zeros
from harness.deploy.formats.served import DECODED, FROM_FILES, check_names, read_file
from harness.paths.bundle import SAVED_MODEL
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.deploy.formats.format import Images
    from harness.deploy.runtimes.answers import Answers

PIXEL_TYPES = ("uint8", "int32", "int64", "float64")
"""Types of pixels that have signatures of their own; float32 has the default one."""
DEFAULT = "serving_default"


def _write(model: ModelToExport, target: Path) -> None:
    import keras
    import tensorflow as tf

    from harness.deploy.quiet import without_reports

    network, dataset = model.network, model.dataset
    shape = (None, *dataset.example_shape)
    archive = keras.export.ExportArchive()
    archive.track(network)
    names = tf.constant(dataset.classes)

    def answer(images: Any) -> dict[str, Any]:
        probabilities = network(images, training=False)
        best = tf.argmax(probabilities, axis=1, output_type=tf.int32)
        return {"probabilities": probabilities, "class_index": best, "class": tf.gather(names, best)}

    # The network is traced once, and called by all that need it.
    shared = tf.function(answer, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))

    def of_pixels(image: Any) -> Any:
        return shared(tf.cast(image, tf.float32))

    archive.add_endpoint(DEFAULT, of_pixels, [tf.TensorSpec(shape, tf.float32, name="image")])
    for kind in PIXEL_TYPES:
        archive.add_endpoint(f"serving_{kind}", of_pixels, [tf.TensorSpec(shape, kind, name="image")])
    if not dataset.frames:
        _add_files(archive, model, of_pixels)
    with without_reports():
        archive.write_out(str(target), verbose=False)


def _add_files(archive: Any, model: ModelToExport, of_pixels: Callable[[Any], Any]) -> None:
    """Add the signatures that take the bytes of image files."""
    import tensorflow as tf

    from harness.deploy.graph.decode import Target, decode_batch

    files = Target(*model.dataset.image_shape, model.dataset.pixel_range, model.max_pixels)
    contents = tf.TensorSpec((None,), tf.string, name="image_bytes")
    # The decoder is traced once, too.
    decoded = tf.function(
        lambda image_bytes: decode_batch(image_bytes, files), autograph=False
    ).get_concrete_function(tf.TensorSpec((None,), tf.string))

    def of_files(image_bytes: Any) -> Any:
        return of_pixels(decoded(image_bytes))

    def seen(image_bytes: Any) -> Any:
        return {"image": decoded(image_bytes)}

    archive.add_endpoint(FROM_FILES, of_files, [contents])
    archive.add_endpoint(DECODED, seen, [contents])


def _answer(folder: Path, dataset: Dataset, images: Images) -> Answers:
    from harness.deploy.runtimes.answers import answers_of

    answers = answers_of("tensorflow_runtime", folder, images)
    for outputs in answers.outputs.values():
        check_names(outputs["class"], outputs["probabilities"], dataset.classes)
    return answers


def _reader(folder: Path, dataset: Dataset) -> FileReader:
    import tensorflow as tf

    served = tf.saved_model.load(str(folder)).signatures
    return FileReader(FROM_FILES, partial(read_file, served, dataset.classes))


def _usage(dataset: Dataset, read: tuple[str, ...]) -> str:
    types = ", ".join(f"`serving_{kind}`" for kind in PIXEL_TYPES)
    others = (
        f"`{DEFAULT}(image)` takes float32, or any numbers as a NumPy array or a list; tensors of other "
        f"types have\nsignatures of their own: {types}."
    )
    if dataset.frames:
        return f"""With TensorFlow, from arrays of {dataset.frames} frames a clip:

```python
import numpy as np, tensorflow as tf
classify = tf.saved_model.load("{SAVED_MODEL}").signatures["{DEFAULT}"]
print(classify(image=tf.constant({zeros(dataset)}))["class"])
```

{others} There is no signature for the bytes of files.
"""
    return f"""With TensorFlow, from the bytes of image files of any size ({", ".join(read)}):

```python
import tensorflow as tf
classify = tf.saved_model.load("{SAVED_MODEL}").signatures["{FROM_FILES}"]
print(classify(image_bytes=tf.constant([open("picture.jpg", "rb").read()]))["class"])
```

The signature `{DECODED}` answers with the pixels that the model sees of files. From decoded pixels:
{others}
"""


FORMAT = ExportFormat(
    file=SAVED_MODEL,
    title="SavedModel",
    about="TensorFlow, with signatures for pixels of any type and, of images, for the bytes of files.",
    write=_write,
    answer=_answer,
    usage=_usage,
    reader=_reader,
    runtime=("tensorflow",),
    entries={
        DEFAULT: "float32",
        **{f"serving_{kind}": kind for kind in PIXEL_TYPES},
    },
    file_entries={
        FROM_FILES: "image files",
        DECODED: "image files; answers with the pixels that the model sees",
    },
)
