"""A trained model as a bundle: self-describing, verified, ready to deploy.

The bundle holds the model in formats of `harness.deploy.formats`, and beside them

    labels.txt              class names in the order of the outputs
    metadata.yaml           input, output, figures, parity, provenance
    README.md               a model card
    sample_input.json       a request to TensorFlow Serving, and
    expected_output.json    what is answered to it
    requirements.txt        the versions that the models were tried with
    SHA256SUMS              for `sha256sum -c`

Every model is loaded again with its own runtime and compared with the trained one; only then does the bundle
get its name.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.data.decode import MAX_PIXELS
from harness.data.reference import Reference
from harness.deploy.archive import write_archive
from harness.deploy.artefact import Artefact, Figures, figures
from harness.deploy.checksums import write_checksums
from harness.deploy.choosing import ALWAYS, Choice, fitting, installed, versions_of
from harness.deploy.converter import Converter
from harness.deploy.expected import (
    Compared,
    as_files,
    compared_images,
    expected_predictions,
    training_images,
)
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats.format import ExportFormat, ModelToExport
from harness.deploy.loading import load_safely
from harness.deploy.metadata import metadata
from harness.deploy.model_card import model_card
from harness.deploy.parity import Parity, Probabilities, compare, pixels_parity
from harness.deploy.predicting import predict
from harness.deploy.samples import sample
from harness.deploy.temperature import TemperatureScaling, about_scaling, scaled
from harness.deploy.trained import TrainedModel, check_file
from harness.deploy.trying_files import files_parity
from harness.errors import ExportError
from harness.paths import fill_folder, lack_of_room, sync_folder, temporary_beside
from harness.paths.bundle import (
    EXPECTED_OUTPUT,
    KERAS_MODEL,
    LABELS,
    METADATA,
    README,
    REQUIREMENTS,
    SAMPLE_INPUT,
)

WIDTH = 120
"""Characters of a line of the metadata."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished export."""

    folder: Path
    parity: tuple[Parity | FilesParity, ...]
    """What was compared: the model file with what training recorded, then every format with the model."""
    figures: tuple[Figures, ...]
    """What each format comes to."""
    warnings: tuple[str, ...] = ()
    """What whoever ships the model must know, in sentences."""
    left_out: tuple[str, ...] = ()
    """Which formats there are not, and why, in sentences."""
    archive: Path | None = None
    """The bundle as one file, if that was asked for."""


def _silent(_: str) -> None:
    pass


def export_model(
    source: TrainedModel,
    target: Path,
    *,
    formats: Sequence[str] | None = None,
    replace: bool = False,
    archive: bool = False,
    temperature: TemperatureScaling | None = None,
    progress: Callable[[str], None] = _silent,
) -> Bundle:
    """Write the bundle to `target`.

    Args:
        source: the model.
        target: the folder to be made.
        formats: names in `harness.deploy.formats.FORMATS`; None for all that can be had. `keras` is always
            there.
        replace: replace what is there.
        archive: write the bundle as a `.zip` file beside the folder, too.
        temperature: what its logits are divided by; None: nothing.
        progress: is told what is done next, in a few words.

    Raises:
        UsageError: there is no such format.
        ExportError: `target` exists and `replace` is false, the model file is not the recorded one, a format
            that was named cannot be had, or an artefact does not predict what the trained model did. Nothing
            is left behind.
    """
    target = target.absolute()
    packed = target.with_name(f"{target.name}.zip") if archive else None
    for place in (target, packed):
        if place is not None and place.exists() and not replace:
            raise ExportError(f"{place} exists already. Choose another --out, or add --replace.")
    choice = installed(formats)
    with nullcontext(source) if temperature is None else scaled(source, temperature) as model:
        return _exported(model, _Order(target, packed, choice, formats is not None, progress))


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be written."""

    target: Path
    packed: Path | None
    """The archive; None if none is wanted."""
    choice: Choice
    """Formats whose libraries are there."""
    named: bool
    """Whether the user has named them."""
    progress: Callable[[str], None]


def _exported(source: TrainedModel, order: _Order) -> Bundle:
    check_file(source)
    reference, recorded = expected_predictions(source)
    given = training_images(source.dataset, reference)
    order.progress("loading the trained model")
    network = load_safely(source.file)
    choice = fitting(order.choice, network, source, training_images=given is not None, named=order.named)
    dataset = as_files(source.dataset, reference)
    target, packed = order.target, order.packed
    fresh = temporary_beside(target)
    with Converter(source.file, given) as converter:
        model = ModelToExport(source.file, network, dataset, source.max_pixels or MAX_PIXELS, converter)
        trained = compare(KERAS_MODEL, predict(network, reference.images), recorded)
        compared = compared_images(source.dataset, reference)
        yardstick = _Yardstick(reference, compared, model.predict(compared.images))
        artefacts: list[Artefact] = []

        def fill(folder: Path) -> None:
            for name, one in choice.formats.items():
                order.progress(f"writing and trying {one.file}")
                try:
                    artefacts.append(_tried(one, model, folder, yardstick))
                except ExportError as error:
                    if lack_of_room(error):  # then the format is not to blame
                        raise
                    others = ",".join(other for other in choice.formats if other != name)
                    way_on = f" To export without it: --formats {others}" if others and name != ALWAYS else ""
                    raise ExportError(f"{error}{way_on}") from error
            _describe(folder, source, model, artefacts, yardstick)

        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            fill_folder(fresh, fill)
            if packed is not None:
                order.progress(f"packing {packed.name}")
                write_archive(fresh, packed)
            _put_in_place(fresh, target)
        except Exception as error:
            reason = lack_of_room(error)
            if reason is not None:
                raise ExportError(
                    f"There is no room for the bundle beside {target}, or for what is only needed while it "
                    f"is made, in {tempfile.gettempdir()}: {reason}. Nothing was exported, and nothing is "
                    "left of it. Make room, and the same command exports it."
                ) from error
            if isinstance(error, OSError):
                raise ExportError(
                    f"The bundle could not be written to {target}: {error.strerror or error}."
                ) from error
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Bundle(
        folder=target,
        parity=(trained, *(one for artefact in artefacts for one in artefact.parity)),
        figures=tuple(artefact.figures for artefact in artefacts),
        warnings=tuple(line for artefact in artefacts for line in artefact.warnings()),
        left_out=choice.left_out,
        archive=packed,
    )


@dataclass(frozen=True, slots=True)
class _Yardstick:
    """What every artefact is compared with."""

    reference: Reference
    compared: Compared
    expected: Probabilities
    """What the trained model predicts for the compared images, float32 (n, K)."""


def _tried(exported: ExportFormat, model: ModelToExport, folder: Path, yardstick: _Yardstick) -> Artefact:
    """Write the model in one format, load it again with its own runtime, and compare."""
    target = folder / exported.file
    target.parent.mkdir(exist_ok=True)
    exported.write(model, target)
    compared, expected, reference = yardstick.compared, yardstick.expected, yardstick.reference
    answers = exported.answer(target, model.dataset, compared.images)
    pixels = pixels_parity(
        exported.file, answers.probabilities, expected, compared.labels, exported.tolerance
    )
    files = files_parity(exported, target, model, reference.images, reference.originals)
    return Artefact(exported, pixels, files, figures(target, exported, compared, expected, answers, pixels))


def _describe(
    folder: Path,
    source: TrainedModel,
    model: ModelToExport,
    artefacts: Sequence[Artefact],
    yardstick: _Yardstick,
) -> None:
    """Write what the bundle says of itself."""
    classes = model.dataset.classes
    versions = versions_of([one.format for one in artefacts])
    described = metadata(source, model, artefacts, versions)
    request, answer = sample(yardstick.compared.images, yardstick.expected, classes)
    texts = {
        LABELS: "".join(f"{name}\n" for name in classes),
        METADATA: yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=WIDTH),
        README: model_card(source, model.dataset, artefacts)
        + about_scaling(source.provenance, model.dataset.noun),
        SAMPLE_INPUT: request,
        EXPECTED_OUTPUT: answer,
        REQUIREMENTS: "".join(f"{name}=={version}\n" for name, version in versions.items()),
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
