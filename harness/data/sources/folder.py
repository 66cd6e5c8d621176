"""Folders of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.source import ImageFiles
from harness.data.sources.kind import SourceKind, Unpack, path_of, unused_settings

if TYPE_CHECKING:
    from harness.experiment.dataset_config import DatasetConfig


def find_in(root: Path, config: DatasetConfig) -> ImageFiles:
    """The images in a folder.

    Raises:
        DataError: nothing usable is there, or it can be meant in two ways of which none is likelier.
    """
    from harness.data.folder import scan_folder

    found = scan_folder(root, config)
    # With a layout of its own, no list in the folder is looked at.
    unused = unused_settings(config, "columns") if config.layout != "auto" else ()
    return replace(found, warnings=(*found.warnings, *unused))


def _find(config: DatasetConfig, _: Unpack) -> ImageFiles:
    return find_in(path_of(config.source), config)


def _is_folder(source: str) -> bool:
    try:
        return path_of(source).is_dir()
    except (OSError, ValueError):
        return False


KIND = SourceKind(
    given="a folder of images",
    about="A folder for each class, or flat files that are named by their class, with or without splits; "
    "with dataset.frames, of clips.",
    claims=_is_folder,
    find=_find,
    at_a_glance=True,
)
