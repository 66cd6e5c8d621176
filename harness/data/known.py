"""A data set that was prepared before, found again without decoding, unpacking or loading anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.data.caching import looks_of_arrays
from harness.data.content import fingerprint
from harness.data.groups import groups_of
from harness.data.manifest import read_manifest
from harness.data.parts import divide
from harness.data.source import ImageFiles
from harness.data.sources import find_source
from harness.data.store import Store
from harness.errors import HarnessError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import cache as default_cache
from harness.paths.prepared import CachePaths
from harness.records import Dataset


class _PackedError(Exception):
    """The source would have to be unpacked first."""


def known(config: DatasetConfig, seed: int) -> Dataset | None:
    """The data set as `harness.data.prepare.prepare` would return it, but for its warnings.

    Args:
        config: the `dataset` section of an experiment.
        seed: decides the validation split.

    Returns:
        None if it has not been prepared as it is now, is packed, or cannot be found at all.
    """
    folder = default_cache()
    if not CachePaths(folder).index.is_dir():
        return None
    try:
        store = Store(folder)
        source = find_source(config, _not_unpacked)
        looks = fingerprint(source, config) if isinstance(source, ImageFiles) else looks_of_arrays(source)
        found = store.find(looks)
        if found is None:
            return None
        groups = groups_of(source, config)
        dataset = divide(found.folder, read_manifest(found.folder), config, seed, groups)
    except (HarnessError, OSError, _PackedError):
        return None
    return replace(dataset, name=found.name, pixel_range=found.pixel_range, warnings=())


def _not_unpacked(_: Path) -> Path:
    raise _PackedError
