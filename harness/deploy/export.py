"""A trained model as a bundle: self-describing, verified, ready to deploy.

    model.keras      plain Keras, softmax output
    saved_model/     TensorFlow: `serving_default(image)` and `serving_bytes(image_bytes)`
    labels.txt       class names in the order of the outputs
    metadata.json    input, output, parameters, metrics, provenance, parity
    README.md        how to load it
    SHA256SUMS       for `sha256sum -c`

Both models are loaded again and compared with what the trained model in memory had predicted; only
then does the bundle get its name.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.arrays import load
from harness.deploy.loading import quiet_keras
from harness.errors import ExportError
from harness.paths import sha256_of, temporary_beside, write_folder
from harness.records import Dataset

TOLERANCE = 1e-4
"""Largest allowed difference of a probability."""

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What to export."""

    file: Path
    """The `.keras` file; `reference.npz` stands beside it."""
    sha256: str
    dataset: Dataset
    provenance: dict[str, Any] = field(default_factory=dict)
    """JSON-serialisable: study, trial, parameters, metrics, versions."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far one artefact is from the trained model on the reference images."""

    artefact: str
    images: int
    largest_difference: float
    same_class: int
    """Images for which the most probable class is the same."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished export."""

    folder: Path
    parity: tuple[Parity, ...]


def export_model(source: TrainedModel, target: Path, *, replace: bool = False) -> Bundle:
    """Write the bundle to `target`.

    Raises:
        ExportError: `target` exists and `replace` is false, the model file is not the recorded one, or
            an artefact does not predict what the trained model did. Nothing is left behind.
    """
    target = target.absolute()
    if target.exists() and not replace:
        raise ExportError(f"{target} exists already. Choose another --out, or add --replace.")
    if not source.file.is_file():
        raise ExportError(f"The model file {source.file} is missing.")
    if sha256_of(source.file) != source.sha256:
        raise ExportError(f"The model file {source.file} is damaged: its SHA-256 is not the recorded one.")
    images, expected = _reference(source)
    found: list[Parity] = []
    fresh = temporary_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_folder(fresh, lambda folder: found.extend(_fill(folder, source, images, expected)))
        if target.exists():
            old = temporary_beside(target)
            target.replace(old)
            fresh.replace(target)
            shutil.rmtree(old)
        else:
            fresh.replace(target)
    except OSError as error:
        raise ExportError(
            f"The bundle could not be written to {target}: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Bundle(target, tuple(found))


def _reference(source: TrainedModel) -> tuple[Images, Probabilities]:
    """Images and what the trained model predicted for them before it was saved."""
    file = source.file.with_name("reference.npz")
    try:
        with np.load(file, allow_pickle=False) as stored:
            indices, probabilities = stored["indices"], stored["probabilities"]
            split = str(stored["split"])
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(
            f"The reference predictions {file} cannot be read ({error}), so the export could not be verified."
        ) from error
    arrays = load(source.dataset)
    images, _ = arrays.validation() if split == "validation" else arrays.train()
    return np.ascontiguousarray(images[indices]), probabilities


def _fill(folder: Path, source: TrainedModel, images: Images, expected: Probabilities) -> list[Parity]:
    """Write every artefact, load it again and compare."""
    keras = quiet_keras()
    classes = source.dataset.classes
    shutil.copyfile(source.file, folder / "model.keras")
    try:
        model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    except Exception as error:
        # A file with foreign code or damage may fail in any way.
        reason = str(error).strip().split("\n", 1)[0]
        raise ExportError(f"The model file {source.file} cannot be loaded: {reason}") from error
    parity = [_compare("model.keras", model(images.astype(np.float32)).numpy(), expected)]

    _write_saved_model(folder / "saved_model", model, source.dataset)
    parity += _saved_model_parity(folder / "saved_model", images, expected, classes)

    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    metadata = _metadata(source, parity)
    (folder / "metadata.json").write_text(
        json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(_readme(source.dataset), encoding="utf-8")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    (folder / "SHA256SUMS").write_text(
        "".join(f"{sha256_of(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)
    )
    return parity


def _write_saved_model(target: Path, model: Any, dataset: Dataset) -> None:
    """Two signatures around the same network: pixels, or the bytes of image files."""
    keras = quiet_keras()
    import tensorflow as tf

    height, width, channels = dataset.image_shape
    archive = keras.export.ExportArchive()
    archive.track(model)
    names = tf.constant(dataset.classes)

    def answer(images: Any) -> dict[str, Any]:
        probabilities = model(tf.cast(images, tf.float32), training=False)
        best = tf.argmax(probabilities, axis=1, output_type=tf.int32)
        return {"probabilities": probabilities, "class_index": best, "class": tf.gather(names, best)}

    def read(content: Any) -> Any:
        image = tf.io.decode_image(content, channels=channels, expand_animations=False)
        image = tf.image.resize(image, (height, width), method="bilinear", antialias=True)
        return tf.ensure_shape(image, (height, width, channels))

    archive.add_endpoint(
        "serving_default", answer, [tf.TensorSpec((None, height, width, channels), tf.float32, name="image")]
    )
    archive.add_endpoint(
        "serving_bytes",
        lambda image_bytes: answer(tf.map_fn(read, image_bytes, fn_output_signature=tf.float32)),
        [tf.TensorSpec((None,), tf.string, name="image_bytes")],
    )
    # Keras reports to standard output, which belongs to our caller.
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(str(target), verbose=False)


def _saved_model_parity(
    folder: Path, images: Images, expected: Probabilities, classes: tuple[str, ...]
) -> list[Parity]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    by_pixels = loaded.signatures["serving_default"](image=tf.constant(images, tf.float32))
    encoded = tf.constant([tf.io.encode_png(image).numpy() for image in images])
    by_bytes = loaded.signatures["serving_bytes"](image_bytes=encoded)
    for answer in (by_pixels, by_bytes):
        named = [name.decode() for name in answer["class"].numpy()]
        if named != [classes[index] for index in answer["probabilities"].numpy().argmax(axis=1)]:
            raise ExportError("The exported SavedModel gives class names that do not fit its probabilities.")
    return [
        _compare("saved_model serving_default", by_pixels["probabilities"].numpy(), expected),
        _compare("saved_model serving_bytes", by_bytes["probabilities"].numpy(), expected),
    ]


def _compare(artefact: str, found: npt.NDArray[Any], expected: Probabilities) -> Parity:
    """Raises ExportError if the probabilities differ, or the class does where it is not a tie."""
    if found.shape != expected.shape:
        raise ExportError(f"{artefact} predicts the shape {found.shape} instead of {expected.shape}.")
    difference = float(np.abs(found - expected).max())
    top_two = np.sort(expected, axis=1)[:, -2:]
    clear = top_two[:, 1] - top_two[:, 0] > 2 * TOLERANCE
    same = found.argmax(axis=1) == expected.argmax(axis=1)
    if not difference <= TOLERANCE or not same[clear].all():
        raise ExportError(
            f"{artefact} does not predict what the trained model did: probabilities differ by up to "
            f"{difference:.2g} (allowed {TOLERANCE:g}), and {int((~same).sum())} of {len(same)} images get "
            "another class. Nothing was exported."
        )
    return Parity(artefact, len(expected), difference, int(same.sum()))


def _metadata(source: TrainedModel, parity: list[Parity]) -> dict[str, Any]:
    dataset = source.dataset
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
        },
        "output": {"kind": "probabilities", "classes": list(dataset.classes)},
        "dataset": {"name": dataset.name, "digest": dataset.digest, "counts": dataset.counts},
        "parity": [asdict(one) for one in parity],
        "provenance": source.provenance,
    }


def _readme(dataset: Dataset) -> str:
    height, width, channels = dataset.image_shape
    return f"""# An image classifier

Classes: {", ".join(dataset.classes[:20])}{" …" if len(dataset.classes) > 20 else ""}
Input: {height}×{width} pixels, {channels} channel{"s" * (channels > 1)}, values 0 to 255.
Output: probabilities.

With Keras:

```python
import keras, numpy as np
model = keras.saving.load_model("model.keras")
probabilities = model(np.zeros((1, {height}, {width}, {channels}), "float32"))
```

With TensorFlow, from the bytes of JPEG, PNG, BMP or GIF files of any size:

```python
import tensorflow as tf
classify = tf.saved_model.load("saved_model").signatures["serving_bytes"]
print(classify(image_bytes=tf.constant([open("picture.jpg", "rb").read()]))["class"])
```

`labels.txt` has the classes in the order of the outputs, `metadata.json` where the model comes from.
Check the files with `sha256sum -c SHA256SUMS`.
"""


def verify_bundle(folder: Path) -> list[str]:
    """What is wrong with the files of a bundle; empty if nothing is.

    Raises:
        ExportError: `folder` is not a bundle.
    """
    sums = folder / "SHA256SUMS"
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ExportError(f"{folder} is not an exported bundle: {sums} cannot be read.") from error
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    problems = [f"{name} is missing" for name in sorted(listed.keys() - there)]
    problems += [f"{name} is not listed" for name in sorted(there - listed.keys() - {"SHA256SUMS"})]
    for name in sorted(listed.keys() & there):
        if sha256_of(folder / name) != listed[name]:
            problems.append(f"{name} was changed")
    return problems
