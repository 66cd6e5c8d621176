"""Which images make the batches of an epoch: plain arrays, decided by seed and epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.records import Params
from harness.seeds import seed_from

BatchIndices = npt.NDArray[np.int32]


def batch_indices(
    labels: npt.NDArray[np.int32], params: Params, seed: int, epoch: int, epoch_images: int | None = None
) -> BatchIndices:
    """The images of every batch.

    Args:
        labels: int32 (N,), of all training images.
        params: `batch_size`, `train_fraction` and `balance` are read. With `balance` = `sampling` every
            class is drawn equally often, with repetition; otherwise every image comes once.
        seed: the trial's.
        epoch: 1-based.
        epoch_images: images in an epoch. One epoch goes on in the shuffled order where the one before has
            ended, and all images are shuffled anew when all were seen. None: as many as there are.

    Returns:
        int32 (steps, at most batch_size), indices of images.
    """
    subset = training_subset(labels, float(params["train_fraction"]))
    if params["balance"] == "sampling":
        rng = np.random.default_rng([seed, epoch])
        order = _balanced(labels[subset], rng, epoch_images or len(subset))
    elif epoch_images is not None:
        order = _stretch(len(subset), seed, (epoch - 1) * epoch_images, epoch * epoch_images)
    else:
        order = _shuffled(len(subset), seed, epoch)
    return subset[_in_batches(order, int(params["batch_size"]))]


def in_views(indices: BatchIndices, images: int, views: int, seed: int, epoch: int) -> BatchIndices:
    """One of its views, drawn at random, in the place of every image: int32, of the same shape.

    Args:
        indices: int32 (steps, batch), of images.
        images: how many there are, N; the view v of image i has the index v·N + i.
        views: of every image.
        seed: the trial's.
        epoch: 1-based.
    """
    if views == 1:
        return indices
    drawn = np.random.default_rng([seed, epoch, views]).integers(views, size=indices.shape, dtype=np.int32)
    return indices + np.int32(images) * drawn


def shuffled_batches(images: int, batch_size: int, seed: int, epoch: int) -> BatchIndices:
    """A random order of all images, as equal batches: int32 (steps, at most batch_size).

    The batch is made a little smaller where that evens out the last one; the few places then left
    over (fewer than `steps`) repeat images from the start of the order. So every image is seen in
    every epoch, and one shape is compiled.
    """
    return _in_batches(_shuffled(images, seed, epoch), batch_size)


def training_subset(labels: npt.NDArray[np.int32], fraction: float) -> BatchIndices:
    """The first `fraction` of each class in a fixed order: a larger fraction contains a smaller one."""
    if fraction >= 1:
        return np.arange(len(labels), dtype=np.int32)
    rng = np.random.default_rng(seed_from("train_fraction"))
    chosen = [
        rng.permutation(members)[: max(1, round(fraction * len(members)))]
        for members in (np.flatnonzero(labels == label) for label in np.unique(labels))
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int32)


def class_weights(labels: npt.NDArray[np.int32], params: Params, num_classes: int) -> npt.NDArray[np.float32]:
    """What an image of each class counts: float32 (num_classes,), on average 1 over the images.

    With `balance` = `class_weights`, N / (K · images of the class); otherwise 1.
    """
    if params["balance"] != "class_weights":
        return np.ones(num_classes, np.float32)
    subset = training_subset(labels, float(params["train_fraction"]))
    counts = np.bincount(labels[subset], minlength=num_classes)
    present = np.count_nonzero(counts)
    return (len(subset) / (present * np.maximum(counts, 1))).astype(np.float32)


def _shuffled(images: int, seed: int, time: int) -> BatchIndices:
    """A random order of all images, int32 (images,): the one that they have the n-th time, from 1."""
    return np.random.default_rng([seed, time]).permutation(images).astype(np.int32)


def _stretch(images: int, seed: int, first: int, last: int) -> BatchIndices:
    """The places `first` to `last` (exclusive) in an endless row of random orders: int32 (last − first,)."""
    orders = range(first // images, (last - 1) // images + 1)
    row = np.concatenate([_shuffled(images, seed, order + 1) for order in orders])
    return row[first - orders[0] * images :][: last - first]


def _in_batches(order: BatchIndices, batch_size: int) -> BatchIndices:
    steps = -(-len(order) // batch_size)
    even = -(-len(order) // steps)
    return np.resize(order, (steps, even))


def _balanced(labels: npt.NDArray[np.int32], rng: np.random.Generator, images: int) -> BatchIndices:
    """Draw so many images, their classes equally likely: int32 (images,)."""
    present = np.unique(labels)
    drawn = rng.choice(present, size=images)
    order = np.zeros(images, np.int32)
    for label in present:
        places = np.flatnonzero(drawn == label)
        order[places] = rng.choice(np.flatnonzero(labels == label), size=len(places))
    return order
