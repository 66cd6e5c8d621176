"""What every exported copy of a model is compared with: images, and what the model predicted for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness.data.arrays import load
from harness.data.reference import Reference, read_reference, reference_of
from harness.deploy.parity import Images, Labels, Probabilities, recorded_predictions
from harness.deploy.trained import TrainedModel
from harness.errors import DataError, ExportError
from harness.records import Dataset

LARGEST_BYTE = 255
MOST = 1000
"""Images that formats are compared on."""
MOST_BYTES = 2**29
"""What these images may take in memory."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The images on which the formats of a model are compared with it."""

    images: Images
    """uint8 (n, H, W, C)."""
    labels: Labels | None
    """True classes, int32 (n,); None if they are not known."""


def expected_predictions(source: TrainedModel) -> tuple[Reference, Probabilities]:
    """Images, of the study or else of the prepared data, and what the trained model predicted for them.

    Returns:
        Images uint8 (n, H, W, C) with what is known of them, and probabilities float32 (n, K).

    Raises:
        ExportError: there are no images, or no predictions.
    """
    split, indices, expected = recorded_predictions(source.file)
    kept = read_reference(source.reference) if source.reference else None
    if kept is not None and kept.split == split and np.array_equal(kept.indices, indices):
        return kept, expected
    try:
        return reference_of(source.dataset, split, indices), expected
    except DataError as error:
        study = source.provenance.get("study", "STUDY")
        raise ExportError(
            f"The {source.dataset.noun}s that exported models are compared with are gone: the study has "
            f"none of its own in {source.reference}, or damaged ones, and the prepared data in "
            f"{source.dataset.folder} is missing too. If the data set itself is still there, harness resume "
            f"{study} prepares it again and keeps the {source.dataset.noun}s; then export again."
        ) from error


def compared_images(dataset: Dataset, reference: Reference) -> Compared:
    """Up to 1,000 images of the split that the reference images are of, from the prepared data.

    Where that is gone, it is the reference images themselves.
    """
    try:
        images, labels = load(dataset).on_disk(reference.split)
        most = max(len(reference.images), min(MOST, MOST_BYTES // max(1, images.image_bytes)))
        rows = np.linspace(0, len(images) - 1, min(most, len(images))).astype(np.int64)
        return Compared(images[rows], labels[rows])
    except (DataError, IndexError):
        return Compared(reference.images, reference.labels)


def training_images(dataset: Dataset, reference: Reference) -> Images | None:
    """A few images that the model was trained on, uint8 (n, H, W, C); None if there are none any more."""
    if reference.training is not None:
        return reference.training
    try:
        return reference_of(dataset, reference.split, reference.indices).training
    except DataError:
        return None


def as_files(dataset: Dataset, reference: Reference) -> Dataset:
    """The data set, without the range of its pixels if that was one of arrays and says nothing of files."""
    if reference.originals is None and dataset.pixel_range and dataset.pixel_range[1] <= LARGEST_BYTE:
        return replace(dataset, pixel_range=None)
    return dataset
