"""How a kind of data set is known: how one is given, and how it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.data.source import Source
    from harness.experiment.dataset_config import DatasetConfig

Unpack = Callable[[Path], Path]
"""Unpacks an archive, unless that was done before, and returns the folder."""


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of data set."""

    given: str
    """How one is given, within a sentence: `a folder of images`."""
    about: str
    """A sentence for people."""
    claims: Callable[[str], bool]
    """Whether `dataset.source` names one of this kind. It reads no file's content, and raises nothing."""
    find: Callable[[DatasetConfig, Unpack], Source]
    """Files or arrays, none of which is decoded or read yet; raises DataError with path and reason."""
    unused: tuple[str, ...] = ()
    """Keys of `dataset` that mean nothing for it."""
    at_a_glance: bool = False
    """Finding one is quick, and nothing is unpacked for it."""


def path_of(source: str) -> Path:
    """The path that `dataset.source` names; `~` is the user's home."""
    return Path(source).expanduser() if source.startswith("~/") else Path(source)


def is_file_with(source: str, suffixes: tuple[str, ...]) -> bool:
    """Whether `dataset.source` names a file with one of these suffixes, in whatever case."""
    try:
        return source.lower().endswith(suffixes) and path_of(source).is_file()
    except (OSError, ValueError):
        return False


def unused_settings(config: DatasetConfig, *keys: str) -> tuple[str, ...]:
    """A sentence that names those of the keys that the user has set, for they mean nothing; or none."""
    default = type(config)()
    given = [f"dataset.{key}" for key in keys if getattr(config, key) != getattr(default, key)]
    return (f"Not used: {', '.join(given)}, which means nothing for {config.source}.",) if given else ()
