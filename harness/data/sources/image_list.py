"""Lists that name images and their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.not_data import TABLES
from harness.data.source import ImageFiles
from harness.data.sources.kind import SourceKind, Unpack, is_file_with, path_of

if TYPE_CHECKING:
    from harness.experiment.dataset_config import DatasetConfig

_SUFFIXES = tuple(sorted(TABLES))


def _find(config: DatasetConfig, _: Unpack) -> ImageFiles:
    from harness.data.listing import images_of_list

    return images_of_list(path_of(config.source), config)


KIND = SourceKind(
    given=f"a list ({', '.join(_SUFFIXES)})",
    about="A table of paths and labels, and maybe splits.",
    claims=lambda source: is_file_with(source, _SUFFIXES),
    find=_find,
    unused=("layout",),
    at_a_glance=True,
)
