"""Look at every image of a data set once, as a sweep does: the same finder, decoder and splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.audit.facts import Facts, ImageFacts
from harness.data.arrays import PARTS, Images, load
from harness.data.caching import looks_of_arrays
from harness.data.class_checks import check_classes
from harness.data.content import fingerprint, likeness
from harness.data.decoding import DecodedFiles, decode_all, keep_decoded
from harness.data.failures import judge
from harness.data.groups import groups_of
from harness.data.manifest import Manifest
from harness.data.parts import divide
from harness.data.resizing import write_arrays
from harness.data.sealed import which_images
from harness.data.sentences import as_text
from harness.data.source import ArraySource, ImageArrays, ImageFiles, Pool
from harness.data.sources import find_source
from harness.data.store import Store
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import cache as default_cache
from harness.paths.prepared import images_file
from harness.records import Dataset, Progress


def examine(config: DatasetConfig, seed: int, progress: Progress, cache: Path | None = None) -> Facts:
    """Find the data, read and decode every image, and split it; whatever a sweep would refuse is noted.

    What was decoded is kept as prepared data, unless a sweep would refuse it, so that a sweep need not do it
    again.

    Args:
        config: the `dataset` section of an experiment.
        seed: decides the validation split.
        progress: told while images are decoded.
        cache: where prepared data is kept; by default `harness.paths.cache()`.

    Raises:
        DataError: there is nothing that could be looked at.
    """
    store = Store(cache or default_cache())
    source = find_source(config, store.unpacked)
    if isinstance(source, ImageFiles):
        facts = _of_files(source, config, seed, store, progress)
    else:
        facts = _of_arrays(source, config, seed, store, progress)
    return replace(facts, said=tuple(map(as_text, (*store.notes, *facts.said))))


def _of_files(
    source: ImageFiles, config: DatasetConfig, seed: int, store: Store, progress: Progress
) -> Facts:
    counts = Counter(file.label for file in source.files if file.pool == "train")
    pools = {file.pool for file in source.files}
    groups = groups_of(source, config)
    # The folder is gone afterwards, unless it was kept; arrays that are mapped by then stay.
    with store.preparing(), store.fresh_folder() as folder:
        decoded = decode_all(source, config, folder, progress)
        manifest = keep_decoded(decoded, source, config, folder)
        dataset, refused = _as_a_sweep(
            lambda: check_classes(source.name, source.classes, counts, pools),
            lambda: judge(decoded.unreadable(), source, config),
            divided=lambda: divide(folder, manifest, config, seed, groups, progress),
        )
        facts = Facts(
            config=config,
            seed=seed,
            name=source.name,
            classes=source.classes,
            images=tuple(_with_parts(_images(decoded), dataset)),
            arrays=_mapped(folder, manifest),
            dataset=dataset,
            refused=refused,
            said=(*source.warnings, *([groups.said] if groups else []), *decoded.said),
        )
        if dataset is None:
            return facts
        looks = fingerprint(source, config), likeness(source, config)
        kept = store.keep(folder, manifest, source.name, looks).folder
        return replace(facts, dataset=replace(dataset, folder=str(kept)))


def _of_arrays(
    source: ArraySource, config: DatasetConfig, seed: int, store: Store, progress: Progress
) -> Facts:
    arrays = source.read()
    counts = Counter(arrays.pools["train"][1].tolist())
    with store.preparing(), store.fresh_folder() as folder:
        manifest = write_arrays(arrays, config, folder, progress)
        dataset, refused = _as_a_sweep(
            lambda: check_classes(arrays.name, arrays.classes, counts, set(arrays.pools)),
            divided=lambda: divide(folder, manifest, config, seed, None, progress),
        )
        facts = Facts(
            config=config,
            seed=seed,
            name=arrays.name,
            classes=arrays.classes,
            images=tuple(_with_parts(_of_pools(arrays, folder), dataset)),
            arrays=_mapped(folder, manifest),
            dataset=dataset,
            refused=refused,
            said=(*source.warnings, *arrays.warnings),
        )
        if dataset is None:
            return facts
        kept = store.keep(folder, manifest, arrays.name, (looks_of_arrays(source),)).folder
        return replace(facts, dataset=replace(dataset, folder=str(kept)))


def _as_a_sweep(*checks: Callable[[], None], divided: Callable[[], Dataset]) -> tuple[Dataset | None, str]:
    """The data set as a sweep would have it; or None, and why it would refuse."""
    try:
        for check in checks:
            check()
        return divided(), ""
    except DataError as error:
        return None, str(error)


def _images(decoded: DecodedFiles) -> Iterable[ImageFacts]:
    for pool, files in decoded.by_pool.items():
        for row, file in enumerate(files):
            failure = decoded.failures.get((pool, row), "")
            yield ImageFacts(
                name=file.name,
                path=file.path,
                pool=file.pool,
                row=row,
                label=file.label,
                content=decoded.contents[pool][row].hex(),
                pixels=0 if failure else int(decoded.hashes[pool][row]),
                failure=failure,
                kind=decoded.kinds.get((pool, row), ""),
                size=_claimed_size(file.path) if failure else decoded.sizes[pool, row],
            )


def _of_pools(arrays: ImageArrays, folder: Path) -> Iterable[ImageFacts]:
    from harness.paths.prepared import hashes_file

    for pool, (images, labels) in arrays.pools.items():
        hashes = np.load(hashes_file(folder, pool))
        size = int(images.shape[1]), int(images.shape[2])
        for row, (label, pixels) in enumerate(zip(labels.tolist(), hashes.tolist(), strict=True)):
            yield ImageFacts(name=f"{pool}[{row}]", pool=pool, row=row, label=label, pixels=pixels, size=size)


def _with_parts(images: Iterable[ImageFacts], dataset: Dataset | None) -> Iterable[ImageFacts]:
    """The images, each with the part of the split that it is in."""
    part_of: dict[tuple[str, int], str] = {}
    if dataset is not None:
        arrays = load(dataset)
        for part in PARTS:
            pool = arrays.pool_of(part)
            part_of |= {(pool, row): part for row in arrays.on_disk(part)[0].indices.tolist()}
        rows, pool = which_images(dataset)
        part_of |= {(pool, row): "test" for row in rows.tolist()}
    for image in images:
        yield replace(image, part=part_of.get((image.pool, image.row), ""))


def _mapped(folder: Path, manifest: Manifest) -> dict[Pool, Images]:
    return {pool: np.load(images_file(folder, pool), mmap_mode="r") for pool in manifest.pools}  # type: ignore[misc]


def _claimed_size(path: Path) -> tuple[int, int]:
    """Height and width that a file that cannot be read claims; (0, 0) if it claims nothing."""
    from harness.data.decode import UnreadableError, claimed_size

    try:
        return claimed_size(path.read_bytes())
    except (UnreadableError, OSError):
        return 0, 0
