"""Files of arrays, whose content is looked at every time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.data.source import ArraySource
from harness.data.sources.kind import SourceKind, Unpack, is_file_with, path_of
from harness.paths import sha256_of

if TYPE_CHECKING:
    from harness.experiment.dataset_config import DatasetConfig


def _find(config: DatasetConfig, _: Unpack) -> ArraySource:
    from harness.data.npz import read_npz

    file = path_of(config.source)
    more = "" if config.range == "auto" else f" {config.range}"
    key = f"{sha256_of(file)} {file.stem} {config.image_size} {config.color}{more}"
    return ArraySource(file.stem, key, partial(read_npz, file, config.known_range()))


KIND = SourceKind(
    given="a file of arrays (.npz)",
    about="NumPy arrays of images and labels, by split.",
    claims=lambda source: is_file_with(source, (".npz",)),
    find=_find,
    unused=("layout", "splits", "columns", "groups", "ignore", "max_pixels", "frames"),
)
