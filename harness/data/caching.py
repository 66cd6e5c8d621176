"""Arrays of a source, found in the cache of prepared data or made there."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from harness.data.class_checks import check_classes
from harness.data.content import fingerprint, holds, likeness
from harness.data.decoding import decode_files
from harness.data.manifest import VERSION, read_manifest
from harness.data.originals import add_originals, has_originals
from harness.data.resizing import write_arrays
from harness.data.sentences import as_text
from harness.data.source import ArraySource, ImageFiles
from harness.data.store import Prepared, Store
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Progress


def arrays_of_files(
    source: ImageFiles, config: DatasetConfig, store: Store, progress: Progress, *, recheck: bool
) -> Prepared:
    """The arrays of image files, which are decoded unless that was done before.

    Args:
        source: the files.
        config: how they are decoded.
        store: the cache.
        progress: told while files are read or decoded.
        recheck: read all files again and compare their content, whatever their sizes and times say.

    Raises:
        DataError: images or classes are missing, or nothing can be written.
    """
    counts = Counter(file.label for file in source.files if file.pool == "train")
    check_classes(source.name, source.classes, counts, {file.pool for file in source.files})
    looks = fingerprint(source, config), likeness(source, config)
    found = None if recheck else store.find(looks[0])
    if found is None:
        with store.preparing():
            # Another process may just have made it.
            found = None if recheck else store.find(looks[0])
            found = found or _of_same_content(source, config, store, progress, looks)
            found = found or _decoded(source, config, store, progress, looks)
    if not has_originals(found.folder):
        with store.preparing():
            add_originals(found.folder, source.files, progress)
    return found


def _of_same_content(
    source: ImageFiles, config: DatasetConfig, store: Store, progress: Progress, looks: tuple[str, str]
) -> Prepared | None:
    """Arrays made from files of the same paths and sizes, if their content is the same too."""
    found = store.find(looks[1])
    if found is None or not holds(read_manifest(found.folder), source, config, progress):
        return None
    return store.note(replace(found, name=source.name), looks)


def _decoded(
    source: ImageFiles, config: DatasetConfig, store: Store, progress: Progress, looks: tuple[str, str]
) -> Prepared:
    with store.fresh_folder() as folder:
        manifest = decode_files(source, config, folder, progress)
        return store.keep(folder, manifest, source.name, looks)


def arrays_of_arrays(
    source: ArraySource,
    config: DatasetConfig,
    store: Store,
    progress: Progress,
    tell: Callable[[str], object],
) -> Prepared:
    """The arrays of a source of arrays, brought to size and channels unless that was done before.

    Args:
        source: the arrays, which are read only if they are not in the cache.
        config: the size and channels.
        store: the cache.
        progress: told while images are written.
        tell: told how the arrays are taken, before any image is written.

    Raises:
        DataError: the arrays cannot be read, or classes are missing, or nothing can be written.
    """
    looks = looks_of_arrays(source)
    if (known := store.find(looks)) is not None:
        return known
    arrays = source.read()
    for sentence in arrays.warnings:
        tell(as_text(sentence))
    check_classes(arrays.name, arrays.classes, Counter(arrays.pools["train"][1].tolist()), set(arrays.pools))
    with store.preparing():
        if (known := store.find(looks)) is not None:
            return known
        with store.fresh_folder() as folder:
            manifest = write_arrays(arrays, config, folder, progress)
            return store.keep(folder, manifest, arrays.name, (looks,))


def looks_of_arrays(source: ArraySource) -> str:
    """A hash that changes when the arrays would, as they are prepared."""
    return hashlib.sha256(f"v{VERSION} {source.key}".encode()).hexdigest()
