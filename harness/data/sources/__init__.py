"""Kinds of data sets: a file and a line here for each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.sentences import as_text
from harness.data.sources.kind import SourceKind, Unpack, path_of, unused_settings
from harness.errors import DataError
from harness.messages import shown
from harness.registry import registered

if TYPE_CHECKING:
    from harness.data.source import Source
    from harness.experiment.dataset_config import DatasetConfig

SOURCES: dict[str, SourceKind] = registered(
    __name__,
    {
        "built-in": "built_in:KIND",
        "arrays": "arrays:KIND",
        "archive": "archive:KIND",
        "list": "image_list:KIND",
        "folder": "folder:KIND",
    },
)
"""Kinds of data sets by name; `dataset.source` is of the first kind that claims it."""


def is_there(source: str) -> bool:
    """Whether a data set so named can be found."""
    return any(kind.claims(source) for kind in SOURCES.values())


def is_folder_or_archive(source: str) -> bool:
    """Whether a data set so named is a folder of images, or an archive of one."""
    kind = next((kind for kind in SOURCES.values() if kind.claims(source)), None)
    return kind in (SOURCES["folder"], SOURCES["archive"])


def kind_of_source(source: str) -> SourceKind:
    """The kind of the data set that `dataset.source` names.

    Raises:
        DataError: there is nothing of that name, or it is of no kind.
    """
    for kind in SOURCES.values():
        if kind.claims(source):
            return kind
    try:
        wrong = "is of no kind that is read" if path_of(source).exists() else "was not found"
    except OSError as error:
        raise DataError(f"The data set {shown(source)} cannot be read: {error.strerror}.") from error
    *most, last = (kind.given for kind in SOURCES.values())
    raise DataError(f"The data set {shown(source)} {wrong}. It has to be {', '.join(most)}, or {last}.")


def find_source(config: DatasetConfig, unpack: Unpack) -> Source:
    """The data set that `dataset.source` names, with sentences about how it is taken.

    Raises:
        DataError: with the path and the reason.
    """
    return _found(kind_of_source(config.source), config, unpack)


def glance(config: DatasetConfig) -> Source | None:
    """The data set that `dataset.source` names if it is found quickly, without unpacking; else None.

    Raises:
        DataError: with the path and the reason.
    """
    kind = kind_of_source(config.source)
    return _found(kind, config, _never_unpack) if kind.at_a_glance else None


def _found(kind: SourceKind, config: DatasetConfig, unpack: Unpack) -> Source:
    found = kind.find(config, unpack)
    said = (*found.warnings, *unused_settings(config, *kind.unused))
    return replace(found, warnings=tuple(map(as_text, said)))


def _never_unpack(archive: Path) -> Path:
    raise AssertionError(f"{archive} is unpacked only to a cache")
