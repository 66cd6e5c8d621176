"""A trained model as a bundle: self-describing, verified, ready to deploy.

    model.keras      plain Keras, softmax output
    saved_model/     TensorFlow, for pixels or the bytes of image files: see `harness.deploy.saved_model`
    labels.txt       class names in the order of the outputs
    metadata.json    input, output, parameters, metrics, provenance, parity
    README.md        how to load it
    SHA256SUMS       for `sha256sum -c`

Both models are loaded again and compared with what the trained model in memory had predicted; only
then does the bundle get its name.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.decode import MAX_PIXELS
from harness.data.reference import Reference, read_reference, reference_of
from harness.deploy.description import metadata, readme
from harness.deploy.files_parity import FilesParity, files_parity
from harness.deploy.loading import quiet_keras
from harness.deploy.parity import Parity, Probabilities, compare, pixels_parity, recorded_predictions
from harness.deploy.saved_model import write_saved_model
from harness.errors import DataError, ExportError
from harness.paths import fill_folder, sha256_of, sync_folder, temporary_beside
from harness.records import Dataset

LARGEST_BYTE = 255


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What to export."""

    file: Path
    """The `.keras` file; `reference.npz` stands beside it."""
    sha256: str
    dataset: Dataset
    provenance: dict[str, Any] = field(default_factory=dict)
    """JSON-serialisable: study, trial, parameters, metrics, versions."""
    reference: Path | None = None
    """The study's folder of reference images; without one, they are taken from the prepared data."""
    max_pixels: int | None = None
    """Largest image file in training, if that was set."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished export."""

    folder: Path
    parity: tuple[Parity | FilesParity, ...]
    warnings: tuple[str, ...] = ()
    """What whoever ships the model must know, in sentences."""


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
    reference, expected = _reference(source)
    parity: list[Parity | FilesParity] = []
    fresh = temporary_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fill_folder(fresh, lambda folder: parity.extend(_fill(folder, source, reference, expected)))
        _put_in_place(fresh, target)
    except OSError as error:
        raise ExportError(
            f"The bundle could not be written to {target}: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    warnings = [line for one in parity if isinstance(one, FilesParity) for line in one.warnings()]
    return Bundle(target, tuple(parity), tuple(warnings))


def _put_in_place(fresh: Path, target: Path) -> None:
    """Give a finished folder its name; what had it before is removed."""
    old = temporary_beside(target)
    if target.exists():
        target.replace(old)
    fresh.replace(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _reference(source: TrainedModel) -> tuple[Reference, Probabilities]:
    """Images, of the study or else of the prepared data, and what the trained model predicted for them."""
    split, indices, expected = recorded_predictions(source.file)
    kept = read_reference(source.reference) if source.reference else None
    if kept is not None and kept.split == split and np.array_equal(kept.indices, indices):
        return kept, expected
    try:
        return reference_of(source.dataset, split, indices), expected
    except DataError as error:
        study = source.provenance.get("study", "STUDY")
        raise ExportError(
            f"The images that exported models are compared with are gone: the study has none of its own in "
            f"{source.reference}, or damaged ones, and the prepared data in {source.dataset.folder} is "
            f"missing too. If the data set itself is still there, harness resume {study} prepares it again "
            "and keeps the images; then export again."
        ) from error


def _as_files(dataset: Dataset, reference: Reference) -> Dataset:
    """The data set, without the range of its pixels if that was one of arrays and says nothing of files."""
    if reference.originals is None and dataset.pixel_range and dataset.pixel_range[1] <= LARGEST_BYTE:
        return changed(dataset, pixel_range=None)
    return dataset


def _fill(
    folder: Path, source: TrainedModel, reference: Reference, expected: Probabilities
) -> list[Parity | FilesParity]:
    """Write every artefact, load it again and compare."""
    keras = quiet_keras()
    import tensorflow as tf

    dataset = _as_files(source.dataset, reference)
    max_pixels = source.max_pixels or MAX_PIXELS
    shutil.copyfile(source.file, folder / "model.keras")
    try:
        model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    except Exception as error:
        # A file with foreign code or damage may fail in any way.
        reason = str(error).strip().split("\n", 1)[0]
        raise ExportError(f"The model file {source.file} cannot be loaded: {reason}") from error

    def predict(images: npt.NDArray[np.float32]) -> Probabilities:
        probabilities: Probabilities = model(images).numpy()
        return probabilities

    parity: list[Parity | FilesParity] = [
        compare("model.keras", predict(reference.images.astype(np.float32)), expected)
    ]
    write_saved_model(folder / "saved_model", model, dataset, max_pixels)
    served = tf.saved_model.load(str(folder / "saved_model")).signatures
    parity.append(pixels_parity(served, reference.images, expected, dataset.classes))
    files = files_parity(served, predict, reference.images, reference.originals, dataset, max_pixels)
    parity.append(files)

    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in dataset.classes), encoding="utf-8")
    described = metadata(dataset, source.provenance, parity, files)
    (folder / "metadata.json").write_text(
        json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(readme(dataset, files), encoding="utf-8")
    every = sorted(file for file in folder.rglob("*") if file.is_file())
    (folder / "SHA256SUMS").write_text(
        "".join(f"{sha256_of(file)}  {file.relative_to(folder).as_posix()}\n" for file in every)
    )
    return parity


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
