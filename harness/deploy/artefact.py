"""A model in a bundle, and how it did when it was tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.deploy.expected import Compared
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats.format import ExportFormat
from harness.deploy.parity import Parity, Probabilities
from harness.deploy.runtimes.answers import Answers


@dataclass(frozen=True, slots=True)
class Figures:
    """What one artefact comes to, in numbers: a line of the table that an export ends with."""

    file: str
    size: int
    """Bytes."""
    images: int
    """Images on which it was compared with the trained model."""
    largest_difference: float
    """Of a probability."""
    same_class: int
    """Images that get the class that the trained model gives."""
    accuracy: float | None
    """Share of images that get their true class; None if these are not known."""
    accuracy_lost: float | None
    """How much less that is than what the trained model reaches."""
    single_ms: float
    """Median time for one image, in milliseconds."""
    single_p95_ms: float
    batch_ms: float
    """Median time for 32 images."""
    batch_p95_ms: float


@dataclass(frozen=True, slots=True)
class Artefact:
    """A model in a bundle, and how it did when it was tried."""

    format: ExportFormat
    pixels: Parity
    files: FilesParity | None
    """What was found with image files; None for a format that takes none."""
    figures: Figures

    @property
    def parity(self) -> list[Parity | FilesParity]:
        """Everything that the model was tried on."""
        return [self.pixels, *([self.files] if self.files else [])]

    @property
    def read(self) -> tuple[str, ...]:
        """The formats of image files that the model reads."""
        return self.files.read if self.files else ()

    def warnings(self) -> list[str]:
        """What whoever ships the model must know, in sentences."""
        return self.files.warnings() if self.files else []


def figures(
    place: Path,
    exported: ExportFormat,
    compared: Compared,
    expected: Probabilities,
    answers: Answers,
    parity: Parity,
) -> Figures:
    """The numbers of one artefact.

    Args:
        place: its file or folder.
        exported: its format.
        compared: the images on which it was compared.
        expected: what the trained model predicts for them, float32 (n, K).
        answers: of the artefact.
        parity: how far it is from the trained model.
    """
    every = place.rglob("*") if place.is_dir() else [place]
    found = next(iter(answers.probabilities.values()))
    accuracy = lost = None
    if compared.labels is not None:
        accuracy = float(np.mean(found.argmax(axis=1) == compared.labels))
        lost = float(np.mean(expected.argmax(axis=1) == compared.labels)) - accuracy
    return Figures(
        file=exported.file,
        size=sum(file.stat().st_size for file in every if file.is_file()),
        images=parity.images,
        largest_difference=parity.largest_difference,
        same_class=parity.same_class,
        accuracy=accuracy,
        accuracy_lost=lost,
        single_ms=answers.single.median,
        single_p95_ms=answers.single.p95,
        batch_ms=answers.batch.median,
        batch_p95_ms=answers.batch.p95,
    )
