"""Splits: stratified by class, random by seed, and never with identical images on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

Indices = npt.NDArray[np.int64]


def hold_out(
    candidates: Indices,
    labels: npt.NDArray[np.int32],
    hashes: npt.NDArray[np.uint64],
    fraction: float,
    seed: int,
    *,
    classes: Sequence[str],
    what: str,
) -> tuple[Indices, Indices]:
    """Divide images into those that stay and those held out.

    Identical images (equal hashes) go to the same side. Of each class about `fraction` is held out,
    but at least one image, and at least one stays.

    Args:
        candidates: int64 (n,), indices into `labels` and `hashes`.
        labels: int32 (N,).
        hashes: uint64 (N,).
        fraction: 0 ≤ fraction < 1.
        seed: decides the choice.
        classes: names, for errors.
        what: what is held out, for errors.

    Returns:
        Two sorted int64 arrays: what stays, what is held out.

    Raises:
        DataError: a class has fewer than two different images.
    """
    if fraction == 0:
        return candidates, np.zeros(0, np.int64)
    _, first, group = np.unique(hashes[candidates], return_index=True, return_inverse=True)
    group_label = labels[candidates[first]]
    held = np.zeros(len(first), bool)
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        members = np.flatnonzero(group_label == label)
        if len(members) < 2:
            raise DataError(
                f"The class {name!r} has too few different images ({len(members)}) to hold some out for "
                f"{what}. Add images, or remove the class."
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held[rng.permutation(members)[:count]] = True
    chosen = held[group]
    return np.sort(candidates[~chosen]), np.sort(candidates[chosen])


def limit(
    candidates: Indices, labels: npt.NDArray[np.int32], most: int, seed: int, *, classes: Sequence[str]
) -> Indices:
    """About `most` of the candidates: every class in its share, but with at least two images; sorted."""
    if most >= len(candidates):
        return candidates
    rng = np.random.default_rng(seed)
    chosen = []
    for label in range(len(classes)):
        members = candidates[labels[candidates] == label]
        count = max(2, round(most * len(members) / len(candidates)))
        chosen.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(chosen))


def part_digest(hashes: npt.NDArray[np.uint64], labels: npt.NDArray[np.int32]) -> str:
    """SHA-256 (hex) of one part of a data set, whatever it is stored as.

    Args:
        hashes: of the pixels of its images, in their order, uint64 (N,).
        labels: int32 (N,).
    """
    return hashlib.sha256(hashes.astype("<u8").tobytes() + labels.astype("<i4").tobytes()).hexdigest()
