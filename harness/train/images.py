"""The training images as a worker holds them: resident, or streamed in chunks from the prepared arrays."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.data.arrays import Arrays, Images, ImagesOnDisk
from harness.train.batching import BatchIndices

CHUNK_BYTES = 64 << 20
"""Images that are gathered at a time when a set is streamed; the next ones are gathered meanwhile."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive batches of an epoch."""

    images: tf.Tensor
    """uint8 (N, H, W, C)."""
    labels: tf.Tensor
    """int32 (N,)."""
    indices: BatchIndices
    """int32 (steps, batch), which of these images make each batch."""


class TrainingImages(Protocol):
    """Gives an epoch's batches."""

    def chunks(self, indices: BatchIndices) -> Iterator[Chunk]:
        """The batches that `indices`, int32 (steps, batch), makes of all training images, in that order."""


class ResidentImages:
    """All images in memory (on a GPU: in its memory): an epoch is one chunk."""

    def __init__(self, images: Images, labels: npt.NDArray[np.int32]) -> None:
        self._images, self._labels = tf.constant(images), tf.constant(labels)

    def chunks(self, indices: BatchIndices) -> Iterator[Chunk]:
        """All batches as one chunk."""
        yield Chunk(self._images, self._labels, indices)


class StreamedImages:
    """Images on disk, of which some batches are in memory at a time; every batch is the same as resident."""

    def __init__(
        self, images: ImagesOnDisk, labels: npt.NDArray[np.int32], chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._images, self._labels = images, labels
        self._chunk_bytes = chunk_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gather")

    def chunks(self, indices: BatchIndices) -> Iterator[Chunk]:
        """As many chunks as needed, the next one gathered while one is trained on."""
        batch_bytes = indices.shape[1] * int(np.prod(self._images.pool.shape[1:]))
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
class SplitImages:
    """What a worker trains on and evaluates with."""

    train: TrainingImages
    train_labels: npt.NDArray[np.int32]
    """The classes of the training images, int32 (N,)."""
    validation: Images | ImagesOnDisk
    """The validation images, in memory or read batch by batch."""
    validation_labels: npt.NDArray[np.int32]


def split_images(arrays: Arrays, resident_bytes: int) -> SplitImages:
    """Training and validation images, resident as far as they take no more than `resident_bytes` together.

    The training images come first: they are read more often, and in random order.
    """
    images, labels = arrays.on_disk("train")
    resident = images.nbytes <= resident_bytes
    train: TrainingImages = ResidentImages(*arrays.train()) if resident else StreamedImages(images, labels)
    left = resident_bytes - (images.nbytes if resident else CHUNK_BYTES)
    validation, validation_labels = arrays.on_disk("validation")
    return SplitImages(
        train=train,
        train_labels=labels,
        validation=arrays.validation()[0] if validation.nbytes <= left else validation,
        validation_labels=validation_labels,
    )
