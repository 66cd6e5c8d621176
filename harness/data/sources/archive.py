"""Archives of a folder of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.archive import SUFFIXES
from harness.data.source import ImageFiles
from harness.data.sources.folder import find_in
from harness.data.sources.kind import SourceKind, Unpack, is_file_with, path_of

if TYPE_CHECKING:
    from harness.experiment.dataset_config import DatasetConfig


def _find(config: DatasetConfig, unpack: Unpack) -> ImageFiles:
    return find_in(unpack(path_of(config.source)), config)


KIND = SourceKind(
    given=f"an archive ({', '.join(SUFFIXES)})",
    about="A folder of images, unpacked to the cache once for each content; nothing in it is trusted.",
    claims=lambda source: is_file_with(source, SUFFIXES),
    find=_find,
)
