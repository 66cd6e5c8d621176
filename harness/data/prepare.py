"""From a data set's configuration to arrays on disk and one split of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.data.caching import arrays_of_arrays, arrays_of_files
from harness.data.manifest import read_manifest
from harness.data.parts import divide
from harness.data.sentences import as_text
from harness.data.source import ImageFiles
from harness.data.sources import find_source
from harness.data.store import Store
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import cache as default_cache
from harness.records import Dataset, Progress


def prepare(
    config: DatasetConfig,
    *,
    seed: int,
    progress: Progress,
    cache: Path | None = None,
    recheck: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> Dataset:
    """Find the data, decode it unless that was done before, and split it.

    Args:
        config: the `dataset` section of an experiment.
        seed: decides the validation split; the test split, once held out, depends on the data alone.
        progress: told while images are decoded.
        cache: where prepared data is kept; by default `harness.paths.cache()`.
        recheck: read all files again and compare their content, whatever their sizes and times say.
        tell: told, before anything is decoded, how the source is taken; all of it is in the result's warnings
            too.

    Raises:
        DataError: with the path and the reason.
    """
    store = Store(cache or default_cache())
    source = find_source(config, store.unpacked)
    for sentence in source.warnings:
        tell(sentence)
    if isinstance(source, ImageFiles):
        found = arrays_of_files(source, config, store, progress, recheck=recheck)
    else:
        found = arrays_of_arrays(source, config, store, progress, tell)
    dataset = divide(found.folder, read_manifest(found.folder), config, seed)
    return replace(
        dataset,
        name=found.name,
        pixel_range=found.pixel_range,
        warnings=tuple(map(as_text, (*store.notes, *source.warnings, *found.warnings, *dataset.warnings))),
    )
