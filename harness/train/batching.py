"""Which images make the batches of an epoch: plain arrays, decided by seed and epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.records import Params
from harness.seeds import seed_from

BatchIndices = npt.NDArray[np.int32]


def batch_indices(labels: npt.NDArray[np.int32], params: Params, seed: int, epoch: int) -> BatchIndices:
    """The images of every batch.

    Args:
        labels: int32 (N,), of all training images.
        params: `batch_size`, `train_fraction` and `balance` are read. With `balance` = `sampling` every
            class is drawn equally often, with repetition; otherwise every image comes once.
        seed: the trial's.
        epoch: 1-based.

    Returns:
        int32 (steps, at most batch_size), indices of images.
    """
    subset = training_subset(labels, float(params["train_fraction"]))
    if params["balance"] == "sampling":
        order = _balanced(labels[subset], np.random.default_rng([seed, epoch]))
        return subset[_in_batches(order, int(params["batch_size"]))]
    return subset[shuffled_batches(len(subset), int(params["batch_size"]), seed, epoch)]


def shuffled_batches(images: int, batch_size: int, seed: int, epoch: int) -> BatchIndices:
    """A random order of all images, as equal batches: int32 (steps, at most batch_size).

    The batch is made a little smaller where that evens out the last one; the few places then left
    over (fewer than `steps`) repeat images from the start of the order. So every image is seen in
    every epoch, and one shape is compiled.
    """
    order = np.random.default_rng([seed, epoch]).permutation(images).astype(np.int32)
    return _in_batches(order, batch_size)


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


def _in_batches(order: BatchIndices, batch_size: int) -> BatchIndices:
    steps = -(-len(order) // batch_size)
    even = -(-len(order) // steps)
    return np.resize(order, (steps, even))


def _balanced(labels: npt.NDArray[np.int32], rng: np.random.Generator) -> BatchIndices:
    """Draw as many images as there are, their classes equally likely: int32 (N,)."""
    present = np.unique(labels)
    drawn = rng.choice(present, size=len(labels))
    order = np.zeros(len(labels), np.int32)
    for label in present:
        places = np.flatnonzero(drawn == label)
        order[places] = rng.choice(np.flatnonzero(labels == label), size=len(places))
    return order
