"""Checks of a data set's classes before the long decode: how many there are, their names and their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from harness.errors import DataError


def check_classes(name: str, classes: tuple[str, ...], counts: Counter[int], pools: Collection[str]) -> None:
    """Whether a data set can be trained on and split.

    Args:
        name: of the data set.
        classes: their names.
        counts: training images by class.
        pools: the splits that the data set brings.

    Raises:
        DataError: it cannot.
    """
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no class"
        raise DataError(f"The data set {name} has {found}; a classifier needs at least two.")
    for cls in classes:
        if not cls.isprintable() or not cls.strip():
            raise DataError(
                f"The class {cls!r} of {name} has a name that cannot be printed on one line. Rename it."
            )
    if {"validation", "test"} <= set(pools):
        return
    for label, cls in enumerate(classes):
        if counts[label] < 2:
            raise DataError(
                f"The class {cls!r} of {name} has only {counts[label]} image to train on, too few to hold "
                "some out. Add images, or remove the class."
            )
