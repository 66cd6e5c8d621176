"""Images with labels and splits as they were found, and what makes them a source."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.data.sentences import counted, listed
from harness.data.source import POOLS, ImageFile, ImageFiles, Pool
from harness.errors import DataError


class Labelled(NamedTuple):
    """One image with its label, as it was found."""

    path: str
    stat: os.stat_result
    label: str
    pool: Pool
    group: str = ""


def as_source(name: str, root: str, labelled: Sequence[Labelled], warnings: Iterable[str]) -> ImageFiles:
    """The images as a source, their labels brought together.

    Args:
        name: the source's.
        root: the folder that names of images are relative to.
        labelled: the images, in the order of the arrays to come.
        warnings: sentences about how they were found.

    Raises:
        DataError: a name is no text, or a label has no training images.
    """
    for path, *_ in labelled:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise DataError(f"The name {os.fsencode(path)!r} is not UTF-8. Rename it.") from None
    taken, said = _one_spelling(labelled)
    classes = tuple(sorted({taken[one.label] for one in labelled if one.pool == "train"}))
    number = {label: index for index, label in enumerate(classes)}
    _refuse_unknown(labelled, taken, classes)
    files = tuple(
        ImageFile(
            path=Path(path),
            name=_below(path, root),
            label=number[taken[label]],
            pool=pool,
            size=stat.st_size,
            modified=stat.st_mtime_ns,
            changed=stat.st_ctime_ns,
            inode=stat.st_ino,
            group=group,
        )
        for path, stat, label, pool, group in labelled
    )
    return ImageFiles(name, classes, files, (*warnings, *said))


def _below(path: str, root: str) -> str:
    """The path relative to the root, with `/`."""
    if path.startswith(root + os.sep):
        return path[len(root) + 1 :].replace(os.sep, "/")
    return os.path.relpath(path, root).replace(os.sep, "/")


def _one_spelling(labelled: Sequence[Labelled]) -> tuple[dict[str, str], list[str]]:
    """Each label as it is taken, and sentences about those that were spelled in two ways.

    Names that differ in the encoding of accents only are one: macOS writes them otherwise than Linux. Those
    of
    validation and test images that differ from a class in case or in `_`, `-` and spaces are that class.
    """
    training = sorted(
        {one.label for one in labelled if one.pool == "train"},
        key=lambda label: (not unicodedata.is_normalized("NFC", label), label),
    )
    every = [*training, *sorted({one.label for one in labelled} - set(training))]
    composed: dict[str, str] = {}
    loose: dict[str, set[str]] = {}
    for label in training:
        first = composed.setdefault(unicodedata.normalize("NFC", label), label)
        loose.setdefault(_loosely(label), set()).add(first)
    taken: dict[str, str] = {}
    said: list[str] = []
    for label in every:
        known = composed.get(unicodedata.normalize("NFC", label))
        near = loose.get(_loosely(label), set())
        if known is not None:
            taken[label] = known
            how = "the encoding of its accents (one letter, or a letter and an accent)"
        elif len(near) == 1:
            (taken[label],) = near
            how = "case or separators"
        else:
            taken[label] = composed.setdefault(unicodedata.normalize("NFC", label), label)
        if taken[label] != label:
            where = listed(sorted({one.pool for one in labelled if one.label == label}))
            said.append(
                f"The class {taken[label]!a} is written as {label!a} in {where}, which differs only in "
                f"{how}; both are taken as one class."
            )
    return taken, said


def _loosely(label: str) -> str:
    return " ".join(
        unicodedata.normalize("NFC", label).casefold().replace("_", " ").replace("-", " ").split()
    )


def _refuse_unknown(labelled: Sequence[Labelled], taken: dict[str, str], classes: Sequence[str]) -> None:
    known = set(classes)
    unknown = Counter((taken[one.label], one.pool) for one in labelled if taken[one.label] not in known)
    if not unknown:
        return
    for label, pool in sorted(unknown, key=lambda found: (POOLS.index(found[1]), found[0])):
        near = difflib.get_close_matches(label, classes, n=1, cutoff=0.75)
        others = len({other for other, _ in unknown}) - 1
        raise DataError(
            f"The class {label!r} has {counted(unknown[label, pool], f'{pool} image')}, but none to train "
            f"on; the classes of the training images are {listed(classes, 8) or 'none'}."
            + (f" Is it {near[0]!r} under another name?" if near else "")
            + (f" ({counted(others, 'more class', 'more classes')} like that.)" if others else "")
        )
