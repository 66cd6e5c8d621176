"""Data sets that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.catalog import CATALOG
from harness.data.source import ArraySource
from harness.data.sources.kind import SourceKind, Unpack

if TYPE_CHECKING:
    from harness.experiment.dataset_config import DatasetConfig


def _find(config: DatasetConfig, _: Unpack) -> ArraySource:
    known = CATALOG[config.source]
    return ArraySource(config.source, f"{config.source} {config.image_size} {config.color}", known.read)


KIND = SourceKind(
    given=f"one of {', '.join(CATALOG)}",
    about="A data set that is known by name; it is downloaded when it is first used, unless it comes with a "
    "package.",
    claims=lambda source: source in CATALOG,
    find=_find,
    unused=("layout", "splits", "columns", "groups", "ignore", "range", "max_pixels", "frames"),
)
