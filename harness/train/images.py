"""What is trained on as a worker holds it, pixels or features: resident, or streamed in chunks from disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from harness.data.arrays import Arrays
from harness.train.batching import BatchIndices, in_views
from harness.train.features import FeaturesOnDisk
from harness.train.packing import as_fed, on_gpu, part_by_part

CHUNK_BYTES = 64 << 20
"""Images that are gathered at a time when a set is streamed; the next ones are gathered meanwhile."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive batches of an epoch."""

    images: tf.Tensor
    """Pixels uint8 (N, H, W, C), or features float32 (N, F); on a GPU as `harness.train.packing` has them."""
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

    def __init__(
        self, images: npt.NDArray[Any] | OnDisk, labels: npt.NDArray[np.int32], part_bytes: int = CHUNK_BYTES
    ) -> None:
        if on_gpu():  # whose memory may be larger than the machine's
            step = max(1, part_bytes * len(images) // max(1, images.nbytes))
            starts = range(0, len(images), step)
            self._images = part_by_part(images[start : start + step] for start in starts)
        else:
            self._images = tf.constant(images[:])
        self._labels = tf.constant(labels)

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
        return Chunk(as_fed(self._images[chosen]), tf.constant(self._labels[chosen]), places)


@dataclass(frozen=True, slots=True)
class Room:
    """How much there is for images that are trained on, or evaluated with, again and again."""

    memory: int
    """Bytes of the machine's memory."""
    device: int | None = None
    """Bytes of a GPU's memory, for training images; None: there is none, and they are in the machine's."""

    def less(self, every: Iterable[SplitImages]) -> Room:
        """What is left beside these images."""
        taken = list(every)
        memory = self.memory - sum(one.resident_bytes for one in taken)
        device = None if self.device is None else self.device - sum(one.device_bytes for one in taken)
        return Room(memory, device)

    def lacks(self, wanted: SplitImages, most: Room) -> bool:
        """Whether images, as far as they fit into an empty room, do not fit into what is left here.

        Args:
            wanted: images of which none is in memory yet.
            most: the empty room.
        """
        if self.device is None or most.device is None:
            return min(wanted.nbytes, most.memory) > self.memory
        on_device = min(wanted.on_disk.nbytes, most.device)
        return (
            on_device > self.device or min(wanted.nbytes - wanted.on_disk.nbytes, most.memory) > self.memory
        )


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
    """Bytes that those of them take that are in the machine's memory."""
    device_bytes: int = 0
    """Bytes that those of them take that are in a GPU's memory."""
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


def split_images(arrays: Arrays, room: Room) -> SplitImages:
    """Pixels of training and validation images, resident as far as there is room for them."""
    (train, labels), (validation, validation_labels) = arrays.on_disk("train"), arrays.on_disk("validation")
    resident, kept = fitting(train, validation, room)
    in_memory, on_device = _taken(train, validation, room, resident, kept)
    return SplitImages(
        train=ResidentImages(train, labels) if resident else StreamedImages(train, labels),
        on_disk=train,
        train_labels=labels,
        validation=arrays.validation()[0] if kept else validation,
        validation_labels=validation_labels,
        nbytes=train.nbytes + validation.nbytes,
        resident_bytes=in_memory,
        device_bytes=on_device,
    )


def split_features(
    train: FeaturesOnDisk, validation: FeaturesOnDisk, arrays: Arrays, room: Room
) -> SplitImages:
    """Features of training and validation images, resident as far as there is room for them."""
    labels, validation_labels = arrays.on_disk("train")[1], arrays.on_disk("validation")[1]
    views = len(train.stores)
    tiled = np.tile(labels, views)
    resident, kept = fitting(train, validation, room)
    in_memory, on_device = _taken(train, validation, room, resident, kept)
    return SplitImages(
        train=ResidentImages(train, tiled) if resident else StreamedImages(train, tiled),
        on_disk=train,
        train_labels=labels,
        validation=validation[:] if kept else validation,
        validation_labels=validation_labels,
        nbytes=train.nbytes + validation.nbytes,
        resident_bytes=in_memory,
        device_bytes=on_device,
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


def fitting(train: OnDisk, validation: OnDisk, room: Room) -> tuple[bool, bool]:
    """Whether training images, and validation images beside them, fit into memory.

    The training images come first: they are read more often, and in random order. Where they are in a GPU's
    memory, validation images are beside the parts of them that are on their way.
    """
    if room.device is not None:
        return train.nbytes <= room.device, validation.nbytes <= room.memory - CHUNK_BYTES
    resident = train.nbytes <= room.memory
    left = room.memory - (train.nbytes if resident else CHUNK_BYTES)
    return resident, validation.nbytes <= left


def _taken(train: OnDisk, validation: OnDisk, room: Room, resident: bool, kept: bool) -> tuple[int, int]:
    """Bytes of the machine's memory and of a GPU's that images take which are resident."""
    trained = resident * train.nbytes
    if room.device is not None:
        return kept * validation.nbytes, trained
    return trained + kept * validation.nbytes, 0
