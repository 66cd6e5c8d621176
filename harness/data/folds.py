"""Images dealt out to folds: stratified by class, random by seed, what belongs together always in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.data.sentences import counted, listed
from harness.errors import DataError
from harness.seeds import seed_from

Labels = npt.NDArray[np.int32]
Units = npt.NDArray[np.uint64]
Parts = npt.NDArray[np.int16]
Counts = npt.NDArray[np.float64]
TRIES = 20
"""Orders in which groups are looked at, before it is given up to deal them out."""


def dealt_out(
    labels: Labels, units: Units, parts: int, repeats: int, seed: int, *, classes: Sequence[str]
) -> Parts:
    """Deal images out to parts, several times, each time by another seed: int16 (repeats, N).

    Args:
        labels: int32 (N,).
        units: numbers that are equal where images must stay together, uint64 (N,).
        parts: as of `deal_out`.
        repeats: how often.
        seed: decides the choice.
        classes: names, for errors.

    Raises:
        DataError: as by `deal_out`.
    """
    seeds = [seed, *(seed_from(seed, "folds", repeat) for repeat in range(1, repeats))]
    return np.stack([deal_out(labels, units, parts, own, classes=classes) for own in seeds])


def deal_out(labels: Labels, units: Units, parts: int, seed: int, *, classes: Sequence[str]) -> Parts:
    """Deal images out to parts of about the same size, each with every class in its share.

    All images of a unit, such as identical ones, go to the same part. Where every image is a unit of its own,
    neither the images of a class nor all images differ by more than one between parts.

    Args:
        labels: int32 (N,).
        units: numbers that are equal where images must stay together, uint64 (N,).
        parts: at least 2.
        seed: decides the choice.
        classes: names, for errors.

    Returns:
        The part of each image, from 0: int16 (N,).

    Raises:
        DataError: there are fewer units than parts; or a class is in fewer than two, so that it could not be
            trained on and judged.
    """
    _, unit = np.unique(units, return_inverse=True)
    counts = np.zeros((int(unit.max(initial=-1)) + 1, len(classes)))
    np.add.at(counts, (unit, labels), 1)
    _check_enough(counts, parts, classes)
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        chosen = _dealt(counts, parts, rng.permutation(len(counts)))
        one_sided = [len(set(chosen[own > 0].tolist())) < 2 for own in counts.T]
        if not any(one_sided):
            return chosen[unit]
    raise DataError(
        f"The groups cannot be dealt out to {parts} folds so that each trains on every class: the images of "
        f"the class {classes[one_sided.index(True)]!r} are in groups that hold much of other classes. Name "
        "smaller groups (dataset.groups, dataset.keep_together), or use other folds."
    )


def _dealt(counts: Counts, parts: int, order: npt.NDArray[np.int64]) -> Parts:
    """The part of each unit: the one that has least of its classes so far, and of these the smallest.

    Args:
        counts: images of each unit by class, (U, K).
        parts: at least 2.
        order: in which equal units are looked at.
    """
    # Units of several classes first, then class by class, the largest first: small ones even it out.
    held, size = counts[order], counts[order].sum(axis=1)
    order = order[np.lexsort((-size, held.argmax(axis=1), (held > 0).sum(axis=1) == 1))]
    share, in_class, in_all = 1 / counts.sum(axis=0), np.zeros((parts, counts.shape[1])), np.zeros(parts)
    chosen = np.zeros(len(counts), np.int16)
    for one in order:
        crowded = in_class @ (share * counts[one])
        part = min(range(parts), key=lambda index: (round(crowded[index], 12), in_all[index], index))
        chosen[one] = part
        in_class[part] += counts[one]
        in_all[part] += counts[one].sum()
    return chosen


def _check_enough(counts: Counts, parts: int, classes: Sequence[str]) -> None:
    """Raises DataError if images cannot be dealt out; `counts` are those of each unit by class, (U, K)."""
    if len(counts) < parts:
        raise DataError(
            f"There are {len(counts):,} different images, or groups of them, to be dealt out to {parts} "
            "folds. Use fewer folds, or add images."
        )
    for name, number in zip(classes, (counts > 0).sum(axis=0).tolist(), strict=True):
        if number < 2:
            raise DataError(
                f"The class {name!r} has too few different images, or groups of them ({number}), for folds, "
                "of which each trains on some of them and is judged by others. Add images, or remove the "
                "class."
            )


def too_rare(labels: Labels, units: Units, parts: int, *, classes: Sequence[str]) -> str | None:
    """A sentence on classes in fewer units than there are parts; None if there are none.

    Args:
        labels: int32 (N,).
        units: numbers that are equal where images must stay together, uint64 (N,).
        parts: that they are dealt out to.
        classes: names.
    """
    pairs = np.unique(np.stack([labels.astype(np.uint64), units]), axis=1)
    counts = np.bincount(pairs[0].astype(np.int64), minlength=len(classes))
    rare = [name for name, count in zip(classes, counts, strict=True) if count < parts]
    if not rare:
        return None
    them = "it" if len(rare) == 1 else "them"
    return (
        f"{counted(len(rare), 'class has', 'classes have')} fewer different images, or groups of them, than "
        f"there are folds ({parts}): {listed(rare)}. Some folds have no image to judge {them} by, and macro "
        f"averages leave {them} out there."
    )
