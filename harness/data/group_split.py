"""Splits that keep groups together: stratified by class as well as their sizes allow, random by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.data.groups import Units
from harness.data.sentences import counted
from harness.data.split import Indices
from harness.errors import DataError

Floats = npt.NDArray[np.float64]
TRIES = 20
"""Orders in which groups are looked at, before a division is given up."""
PASSES = 20
"""How often all groups are looked at in one order, at most."""
ONE_SIDED = 100.0
"""What a class that is on one side only costs; a share that is wrong by all of itself costs 1."""


def hold_out_groups(
    candidates: Indices,
    labels: npt.NDArray[np.int32],
    units: Units,
    fraction: float,
    seed: int,
    *,
    classes: Sequence[str],
    what: str,
) -> tuple[Indices, Indices]:
    """Divide images into those that stay and those held out, all of a unit to the same side.

    Of each class about `fraction` is held out, as near as the units allow: with units of one class each, the
    difference is at most half of the largest one, unless a class has too few. At least one image of each
    class is held out, and at least one stays.

    Args:
        candidates: int64 (n,), indices into `labels` and `units`.
        labels: int32 (N,).
        units: of `harness.data.groups.units`, uint64 (N,).
        fraction: 0 ≤ fraction < 1.
        seed: decides the choice.
        classes: names, for errors.
        what: what is held out, for errors.

    Returns:
        Two sorted int64 arrays: what stays, what is held out.

    Raises:
        DataError: a class has images of fewer than two units, or no division has all classes on both sides.
    """
    if fraction == 0:
        return candidates, np.zeros(0, np.int64)
    _, unit = np.unique(units[candidates], return_inverse=True)
    counts = np.zeros((int(unit.max(initial=-1)) + 1, len(classes)))
    np.add.at(counts, (unit, labels[candidates]), 1)
    _check_enough(counts, classes, what)
    rng = np.random.default_rng(seed)
    total = counts.sum(axis=0)
    for _ in range(TRIES):
        held = _divided(counts, fraction, rng)
        number = counts[held].sum(axis=0)
        one_sided = (number == 0) | (number == total)
        if not one_sided.any():
            chosen = held[unit]
            return np.sort(candidates[~chosen]), np.sort(candidates[chosen])
    name = classes[int(np.flatnonzero(one_sided)[0])]
    raise DataError(
        f"The groups cannot be divided so that {what} and what stays both have images of every class: those "
        f"of the class {name!r} are in groups that hold much of other classes. Name smaller groups "
        "(dataset.groups, dataset.keep_together), or divide the images yourself, with a column for the split."
    )


def _divided(counts: Floats, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which units are held out: each changes sides, in random order, for as long as that brings all shares
    nearer to the fraction.

    Args:
        counts: images of each unit by class, (U, K).
        fraction: that is wanted.
        rng: decides the order.
    """
    total, now = counts.sum(axis=0), np.zeros(counts.shape[1])
    held = np.zeros(len(counts), bool)
    own = [np.flatnonzero(row) for row in counts]
    order = rng.permutation(len(counts))
    for _ in range(PASSES):
        changed = False
        for unit in order:
            some = own[unit]
            there = now[some]
            then = there + (-1 if held[unit] else 1) * counts[unit, some]
            if _cost(then, total[some], fraction) < _cost(there, total[some], fraction) - 1e-12:
                held[unit] = not held[unit]
                now[some] = then
                changed = True
        if not changed:
            break
    return held


def _cost(held: Floats, total: Floats, fraction: float) -> float:
    """How far so many images of some classes, of so many, are from what is wanted."""
    missed = (held - fraction * total) / total
    return float((missed**2).sum() + ONE_SIDED * ((held == 0) | (held == total)).sum())


def _check_enough(counts: Floats, classes: Sequence[str], what: str) -> None:
    """Raises DataError if a class has images of fewer than two units, which cannot be on both sides."""
    found = (counts > 0).sum(axis=0)
    for label in np.flatnonzero(found < 2).tolist():
        images = counted(int(counts[:, label].sum()), "image")
        raise DataError(
            f"The class {classes[label]!r} has {images} of {counted(int(found[label]), 'group')} left to "
            f"hold some out for {what}, and a group stays on one side. Two are needed; a class that is to "
            "have images in training, validation and test needs three. Add images of other groups, name "
            "smaller groups (dataset.groups, dataset.keep_together), or remove the class."
        )
