"""Images dealt out to folds: stratified by class, random by seed, identical images always together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.data.sentences import counted, listed
from harness.errors import DataError
from harness.seeds import seed_from

Labels = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
Parts = npt.NDArray[np.int16]


def dealt_out(
    labels: Labels, hashes: Hashes, parts: int, repeats: int, seed: int, *, classes: Sequence[str]
) -> Parts:
    """Deal images out to parts, several times, each time by another seed: int16 (repeats, N).

    Args:
        labels: int32 (N,).
        hashes: uint64 (N,).
        parts: as of `deal_out`.
        repeats: how often.
        seed: decides the choice.
        classes: names, for errors.

    Raises:
        DataError: as by `deal_out`.
    """
    seeds = [seed, *(seed_from(seed, "folds", repeat) for repeat in range(1, repeats))]
    return np.stack([deal_out(labels, hashes, parts, own, classes=classes) for own in seeds])


def deal_out(labels: Labels, hashes: Hashes, parts: int, seed: int, *, classes: Sequence[str]) -> Parts:
    """Deal images out to parts of about the same size, each with every class in its share.

    Identical images (equal hashes) go to the same part. Where none are identical, neither the images of a
    class nor all images differ by more than one between parts.

    Args:
        labels: int32 (N,).
        hashes: uint64 (N,).
        parts: at least 2.
        seed: decides the choice.
        classes: names, for errors.

    Returns:
        The part of each image, from 0: int16 (N,).

    Raises:
        DataError: there are fewer different images than parts; or a class has fewer than two, so that it
            could not be trained on and judged.
    """
    _, first, group, sizes = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    if len(first) < parts:
        raise DataError(
            f"There are {len(first):,} different images to be dealt out to {parts} folds. Use fewer folds, "
            "or add images."
        )
    group_label = labels[first]
    chosen = np.zeros(len(first), np.int16)
    in_all = np.zeros(parts, np.int64)
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        members = rng.permutation(np.flatnonzero(group_label == label))
        if len(members) < 2:
            raise DataError(
                f"The class {name!r} has too few different images ({len(members)}) for folds, of which each "
                "trains on some of them and is judged by others. Add images, or remove the class."
            )
        in_class = np.zeros(parts, np.int64)
        for one in members[np.argsort(-sizes[members], kind="stable")]:
            part = min(range(parts), key=lambda index: (in_class[index], in_all[index], index))
            chosen[one] = part
            in_class[part] += sizes[one]
            in_all[part] += sizes[one]
    return chosen[group]


def too_rare(labels: Labels, hashes: Hashes, parts: int, *, classes: Sequence[str]) -> str | None:
    """A sentence on classes with fewer different images than there are parts; None if there are none.

    Args:
        labels: int32 (N,).
        hashes: uint64 (N,).
        parts: that they are dealt out to.
        classes: names.
    """
    _, first = np.unique(hashes, return_index=True)
    counts = np.bincount(labels[first], minlength=len(classes))
    rare = [name for name, count in zip(classes, counts, strict=True) if count < parts]
    if not rare:
        return None
    them = "it" if len(rare) == 1 else "them"
    return (
        f"{counted(len(rare), 'class has', 'classes have')} fewer different images than there are folds "
        f"({parts}): {listed(rare)}. Some folds have no image to judge {them} by, and macro averages leave "
        f"{them} out there."
    )
