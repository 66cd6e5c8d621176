"""A trained model as a bundle: self-describing, verified, ready to deploy.

The bundle holds the model in every format of `harness.deploy.formats`, and beside them

    labels.txt       class names in the order of the outputs
    metadata.json    input, output, parameters, metrics, provenance, parity
    README.md        how to load it
    SHA256SUMS       for `sha256sum -c`

Every model is loaded again and compared with what the trained model in memory had predicted; only then does
the bundle get its name.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.data.decode import MAX_PIXELS
from harness.data.reference import Reference
from harness.deploy.checksums import write_checksums
from harness.deploy.description import Artefact, metadata, readme
from harness.deploy.expected import as_files, expected_predictions
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats import FORMATS
from harness.deploy.formats.format import ExportFormat, ModelToExport
from harness.deploy.loading import load_safely
from harness.deploy.parity import Parity, Probabilities, pixels_parity
from harness.deploy.trained import TrainedModel, check_file
from harness.deploy.trying_files import files_parity
from harness.errors import ExportError
from harness.paths import fill_folder, sync_folder, temporary_beside
from harness.paths.bundle import LABELS, METADATA, README


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
        ExportError: it is a model of clips, `target` exists and `replace` is false, the model file is not the
            recorded one, or an artefact does not predict what the trained model did. Nothing is left behind.
    """
    if source.dataset.frames:
        raise ExportError(
            "Models of clips are not exported yet. The study keeps the model, which takes clips of "
            f"{source.dataset.frames} frames, in {source.file}."
        )
    target = target.absolute()
    if target.exists() and not replace:
        raise ExportError(f"{target} exists already. Choose another --out, or add --replace.")
    check_file(source)
    reference, expected = expected_predictions(source)
    dataset = as_files(source.dataset, reference)
    max_pixels = source.max_pixels or MAX_PIXELS
    model = ModelToExport(source.file, load_safely(source.file), dataset, max_pixels)
    artefacts: list[Artefact] = []

    def fill(folder: Path) -> None:
        artefacts.extend(_tried(one, model, folder, reference, expected) for one in FORMATS.values())
        _describe(folder, source, model, artefacts)

    fresh = temporary_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fill_folder(fresh, fill)
        _put_in_place(fresh, target)
    except OSError as error:
        raise ExportError(
            f"The bundle could not be written to {target}: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    parity = tuple(one for artefact in artefacts for one in artefact.parity)
    warnings = tuple(line for artefact in artefacts for line in artefact.warnings())
    return Bundle(target, parity, warnings)


def _tried(
    exported: ExportFormat,
    model: ModelToExport,
    folder: Path,
    reference: Reference,
    expected: Probabilities,
) -> Artefact:
    """Write the model in one format, load it again and compare."""
    target = folder / exported.file
    exported.write(model, target)
    loaded = exported.load(target, model.dataset)
    pixels = pixels_parity(exported.file, loaded.pixels, reference.images, expected)
    files = files_parity(exported, loaded, model, reference.images, reference.originals)
    return Artefact(exported, pixels, files)


def _describe(folder: Path, source: TrainedModel, model: ModelToExport, artefacts: list[Artefact]) -> None:
    """Write what the bundle says of itself."""
    labels = "".join(f"{name}\n" for name in model.dataset.classes)
    described = metadata(model.dataset, source.provenance, artefacts)
    texts = {
        LABELS: labels,
        METADATA: json.dumps(described, indent=1, ensure_ascii=False) + "\n",
        README: readme(model.dataset, artefacts),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_checksums(folder)


def _put_in_place(fresh: Path, target: Path) -> None:
    """Give a finished folder its name; what had it before is removed."""
    old = temporary_beside(target)
    if target.exists():
        target.replace(old)
    fresh.replace(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)
