"""Labels of an `.npz` as class names and numbers, of one kind for all its splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.sentences import listed
from harness.data.source import Pool
from harness.errors import DataError

Values = npt.NDArray[Any]
_KINDS = {"i": "whole numbers", "u": "whole numbers", "b": "true and false", "U": "words"}


def label_numbers(
    file: Path, labels: Mapping[Pool, Values], named: Values | None
) -> tuple[tuple[str, ...], dict[Pool, npt.NDArray[np.int32]], list[str]]:
    """Class names, the number of each image's class by split, and sentences about how labels were taken.

    Args:
        file: for errors.
        labels: by split, one number or word for each image (N,) or (N, 1), or one-hot (N, K).
        named: names of classes 0, 1, …, if the file has them.

    Raises:
        DataError: they are of different kinds, or of none that can be a label.
    """
    said: list[str] = []
    flat = {pool: _flat(file, pool, values, said) for pool, values in labels.items()}
    flat = _one_kind(file, flat, named, said)
    known = np.unique(flat["train"])
    for pool, values in flat.items():
        strange = np.setdiff1d(values, known)
        if len(strange):
            raise DataError(
                f"{file}: the {pool} label {strange[0]} has no training image; the labels of the training "
                f"images are {listed(known, 8)}."
            )
    if named is not None:
        if named.ndim != 1 or known.dtype.kind not in "iu" or known[0] < 0 or known[-1] >= len(named):
            raise DataError(f"{file}: its {named.size} class names do not fit labels up to {known[-1]}.")
        classes = tuple(_text(name) for name in named[known])
    else:
        classes = tuple(str(value) for value in known)
    numbers = {pool: np.searchsorted(known, values).astype(np.int32) for pool, values in flat.items()}
    return classes, numbers, list(dict.fromkeys(said))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _flat(file: Path, pool: Pool, values: Values, said: list[str]) -> Values:
    """One label for each image, (N,): integers, bools or text."""
    if values.size == 0 or values.ndim == 0:
        raise DataError(f"{file} has no labels for {pool}, but an array of shape {values.shape}.")
    flat = values.reshape(len(values), -1)
    if flat.shape[1] > 1 and flat.dtype.kind in "iubf" and _is_one_hot(flat):
        said.append(f"{file.name}: labels with one 1 in {flat.shape[1]} columns are taken as classes 0 to "
                    f"{flat.shape[1] - 1}.")  # fmt: skip
        numbers: Values = flat.argmax(axis=1)
        return numbers
    if flat.shape[1] != 1 or flat.dtype.kind not in "iubUSf":
        raise DataError(
            f"{file}: the {pool} labels must be one whole number or one word for each image, not "
            f"{values.dtype} of shape {values.shape}."
        )
    column = flat[:, 0]
    if column.dtype.kind == "S":
        return np.array([_text(value) for value in column])
    if column.dtype.kind == "f":
        if (
            not np.isfinite(column).all()
            or (column != np.floor(column)).any()
            or np.abs(column).max() > 2**53
        ):
            raise DataError(
                f"{file}: the {pool} labels must be one whole number or one word for each image, but there "
                f"is {column[~np.isfinite(column) | (column != np.floor(column))][:1]}."
            )
        said.append(f"{file.name}: labels such as {column[0]} are taken as whole numbers.")
        return column.astype(np.int64)
    return column


def _is_one_hot(values: Values) -> bool:
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())


def _one_kind(
    file: Path, flat: dict[Pool, Values], named: Values | None, said: list[str]
) -> dict[Pool, Values]:
    """Numbers and the same numbers as text are brought together; so are numbers and names of classes."""
    kinds = {"numbers" if values.dtype.kind in "iu" else values.dtype.kind for values in flat.values()}
    if len(kinds) == 1 and (named is None or "U" not in kinds):
        return flat
    if kinds <= {"numbers", "U"}:
        names = {_text(name): number for number, name in enumerate(named)} if named is not None else {}
        found = {pool: _as_numbers(values, names) for pool, values in flat.items()}
        if all(values is not None for values in found.values()):
            if len(kinds) > 1:
                said.append(f"{file.name}: labels that are text are taken as the numbers that they name.")
            return {pool: values for pool, values in found.items() if values is not None}
        if len(kinds) == 1 and not any(name in names for values in flat.values() for name in values.tolist()):
            return flat
    each = "; ".join(
        f"{_KINDS.get(values.dtype.kind, values.dtype.name)} for {pool} ({listed(np.unique(values)[:3])}, …)"
        for pool, values in flat.items()
    )
    raise DataError(
        f"{file}: the labels are of different kinds: {each}. Write them alike, so that it is clear which are "
        "the same."
    )


def _as_numbers(values: Values, names: Mapping[str, int]) -> Values | None:
    """Whole numbers; text as the numbers it spells, or the numbers of the classes it names; None if it does
    not."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    found = []
    for text in values.tolist():
        if text in names:
            found.append(names[text])
        elif text.strip().lstrip("-").isdecimal() and str(int(text)) == text.strip():
            found.append(int(text))
        else:
            return None
    return np.array(found, np.int64)
