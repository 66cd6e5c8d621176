"""What is trained on as a worker holds it, pixels or features: resident, or streamed in chunks from disk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.data.arrays import Arrays
from harness.train.batching import BatchIndices, in_views
from harness.train.features import FeaturesOnDisk

CHUNK_BYTES = 64 << 20
"""Images that are gathered at a time when a set is streamed; the next ones are gathered meanwhile."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive batches of an epoch."""

    images: tf.Tensor
    """Pixels uint8 (N, H, W, C), or features float32 (N, F)."""
    labels: tf.Tensor
    """int32 (N,)."""
    indices: BatchIndices
    """int32 (steps, batch), which of these images make each batch."""


class OnDisk(Protocol):
    """Pixels or features of which none is read yet: `ImagesOnDisk` and `FeaturesOnDisk`."""

    def __len__(self) -> int:
        """How many images, N."""

    def __getitem__(self, wanted: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Those of the images: their pixels uint8 (n, H, W, C), or their features float32 (n, F)."""

    @property
    def image_bytes(self) -> int:
        """What one of them takes in memory."""

    @property
    def nbytes(self) -> int:
        """What all of them would take in memory."""


class TrainingImages(Protocol):
    """Gives an epoch's batches."""

    def chunks(self, indices: BatchIndices) -> Iterator[Chunk]:
        """The batches that `indices`, int32 (steps, batch), makes of all training images, in that order."""


class ResidentImages:
    """All images in memory (on a GPU: in its memory): an epoch is one chunk."""

    def __init__(self, images: npt.NDArray[Any], labels: npt.NDArray[np.int32]) -> None:
        self._images, self._labels = tf.constant(images), tf.constant(labels)

    def chunks(self, indices: BatchIndices) -> Iterator[Chunk]:
        """All batches as one chunk."""
        yield Chunk(self._images, self._labels, indices)


class StreamedImages:
    """Images on disk, of which some batches are in memory at a time; every batch is the same as resident."""

    def __init__(self, images: OnDisk, labels: npt.NDArray[np.int32], chunk_bytes: int = CHUNK_BYTES) -> None:
        self._images, self._labels = images, labels
        self._chunk_bytes = chunk_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gather")

    def chunks(self, indices: BatchIndices) -> Iterator[Chunk]:
        """As many chunks as needed, the next one gathered while one is trained on."""
        batch_bytes = indices.shape[1] * self._images.image_bytes
        steps = max(1, self._chunk_bytes // batch_bytes)
        parts = [indices[start : start + steps] for start in range(0, len(indices), steps)]
        coming = self._thread.submit(self._gather, parts[0])
        for following in [*parts[1:], None]:
            chunk = coming.result()
            if following is not None:
                coming = self._thread.submit(self._gather, following)
            yield chunk

    def _gather(self, part: BatchIndices) -> Chunk:
        chosen = part.ravel()
        places = np.arange(len(chosen), dtype=np.int32).reshape(part.shape)
        return Chunk(tf.constant(self._images[chosen]), tf.constant(self._labels[chosen]), places)


@dataclass(frozen=True, slots=True)
class ChosenImages:
    """Some of the images on disk, of which none is read yet."""

    images: OnDisk
    rows: npt.NDArray[np.int64]
    """Which of them, int64 (n,)."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, wanted: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        return self.images[self.rows[wanted]]

    @property
    def image_bytes(self) -> int:
        """What one of them takes in memory."""
        return self.images.image_bytes

    @property
    def nbytes(self) -> int:
        """What all of them would take in memory."""
        return len(self) * self.image_bytes


@dataclass(frozen=True, slots=True)
class SplitImages:
    """What a worker trains on and evaluates with."""

    train: TrainingImages
    on_disk: OnDisk
    """What `train` holds, as it is read from disk."""
    train_labels: npt.NDArray[np.int32]
    """The classes of the images that are trained on, int32 (N,)."""
    validation: npt.NDArray[Any] | OnDisk
    """The validation images, in memory or read batch by batch."""
    validation_labels: npt.NDArray[np.int32]
    nbytes: int
    """Bytes that all of them would take in memory."""
    resident_bytes: int
    """Bytes that those of them take that are in memory."""
    views: int = 1
    """Of every training image: row v·M + i of what `train` holds is the view v of the image i of M."""
    members: npt.NDArray[np.int32] | None = None
    """Which of the M images are trained on, int32 (N,), the others being a fold's validation images; None:
    all."""

    def rows(self, indices: BatchIndices, seed: int, epoch: int) -> BatchIndices:
        """Rows of what `train` holds: one of its views, drawn at random, in the place of every image.

        Args:
            indices: int32 (steps, batch), of the images that are trained on.
            seed: of the training.
            epoch: 1-based.
        """
        chosen = indices if self.members is None else self.members[indices]
        return in_views(chosen, len(self.on_disk) // self.views, self.views, seed, epoch)


def split_images(arrays: Arrays, most_bytes: int) -> SplitImages:
    """Pixels of training and validation images, resident as far as they take no more than `most_bytes`."""
    (train, labels), (validation, validation_labels) = arrays.on_disk("train"), arrays.on_disk("validation")
    resident, kept = _fitting(train, validation, most_bytes)
    return SplitImages(
        train=ResidentImages(*arrays.train()) if resident else StreamedImages(train, labels),
        on_disk=train,
        train_labels=labels,
        validation=arrays.validation()[0] if kept else validation,
        validation_labels=validation_labels,
        nbytes=train.nbytes + validation.nbytes,
        resident_bytes=resident * train.nbytes + kept * validation.nbytes,
    )


def split_features(
    train: FeaturesOnDisk, validation: FeaturesOnDisk, arrays: Arrays, most_bytes: int
) -> SplitImages:
    """Features of training and validation images, resident as far as they take no more than `most_bytes`."""
    labels, validation_labels = arrays.on_disk("train")[1], arrays.on_disk("validation")[1]
    views = len(train.stores)
    tiled = np.tile(labels, views)
    resident, kept = _fitting(train, validation, most_bytes)
    return SplitImages(
        train=ResidentImages(train[:], tiled) if resident else StreamedImages(train, tiled),
        on_disk=train,
        train_labels=labels,
        validation=validation[:] if kept else validation,
        validation_labels=validation_labels,
        nbytes=train.nbytes + validation.nbytes,
        resident_bytes=resident * train.nbytes + kept * validation.nbytes,
        views=views,
    )


def of_fold(every: SplitImages, held_out: npt.NDArray[np.bool_]) -> SplitImages:
    """One fold of images that all folds share in memory; its validation images are in memory if they are.

    Args:
        every: all images as training images, without validation images.
        held_out: which of them are the fold's validation images, bool (M,).
    """
    rows = np.flatnonzero(held_out)
    resident = isinstance(every.train, ResidentImages)
    return replace(
        every,
        train_labels=every.train_labels[~held_out],
        members=np.flatnonzero(~held_out).astype(np.int32),
        validation=every.on_disk[rows] if resident else ChosenImages(every.on_disk, rows),
        validation_labels=every.train_labels[held_out],
    )


def _fitting(train: OnDisk, validation: OnDisk, most_bytes: int) -> tuple[bool, bool]:
    """Whether training images, and validation images beside them, fit into memory.

    The training images come first: they are read more often, and in random order.
    """
    resident = train.nbytes <= most_bytes
    left = most_bytes - (train.nbytes if resident else CHUNK_BYTES)
    return resident, validation.nbytes <= left
