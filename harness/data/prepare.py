"""From a data set's configuration to arrays on disk and one split of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.data.caching import arrays_of_arrays, arrays_of_files
from harness.data.groups import groups_of
from harness.data.manifest import read_manifest
from harness.data.parts import divide
from harness.data.sentences import as_text
from harness.data.source import ImageFiles
from harness.data.sources import find_source
from harness.data.store import Store
from harness.experiment.dataset_config import LONGEST_SIDE, DatasetConfig
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
    groups = groups_of(source, config)
    dataset = divide(found.folder, read_manifest(found.folder), config, seed, groups, progress)
    said = (*store.notes, *source.warnings, *found.warnings, *dataset.warnings)
    if not isinstance(source, ImageFiles):
        said = (*said, *_not_resized(config, dataset.image_shape))
    return replace(
        dataset, name=found.name, pixel_range=found.pixel_range, warnings=tuple(map(as_text, said))
    )


def _not_resized(config: DatasetConfig, image_shape: tuple[int, int, int]) -> list[str]:
    """A sentence where arrays are larger than the limit on the size of pictures, which is for files alone."""
    height, width, _ = image_shape
    limit = None if config.longest_side == LONGEST_SIDE else config.longest_side
    if config.image_size is not None or limit is None or max(height, width) <= limit:
        return []
    return [
        f"dataset.longest_side is {limit}, but arrays are taken as they are, with {height}×{width} pixels; "
        "dataset.image_size would resize them."
    ]
