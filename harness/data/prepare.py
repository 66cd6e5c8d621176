"""From a data set's configuration to arrays on disk and one split of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data import catalog
from harness.data.archive import archive_stem, is_archive, unpack
from harness.data.arrays_to_arrays import write_arrays
from harness.data.content import fingerprint, holds, likeness
from harness.data.files_to_arrays import decode_files
from harness.data.folder import scan_folder
from harness.data.listing import read_manifest as read_list
from harness.data.not_data import TABLES
from harness.data.npz import read_npz
from harness.data.originals import add_originals, has_originals
from harness.data.parts import divide
from harness.data.sentences import as_text
from harness.data.sources import ImageArrays, ImageFiles
from harness.data.store import VERSION, Prepared, Store, read_manifest
from harness.errors import DataError
from harness.experiment.parameters import shown
from harness.experiment.schema import DatasetConfig
from harness.paths import cache as default_cache
from harness.paths import sha256_of
from harness.records import Dataset, Progress

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked for, and whom to tell."""

    config: DatasetConfig
    store: Store
    progress: Progress
    tell: Tell
    recheck: bool


def prepare(
    config: DatasetConfig,
    *,
    seed: int,
    progress: Progress,
    cache: Path | None = None,
    recheck: bool = False,
    tell: Tell | None = None,
) -> Dataset:
    """Find the data, decode it unless that was done before, and split it.

    Args:
        config: the `dataset` section of an experiment.
        seed: decides the validation split; the test split, once held out, depends on the data alone.
        progress: told while images are decoded.
        cache: where prepared data is kept; by default `harness.paths.cache()`.
        recheck: read all files again and compare their content, whatever their sizes and times say.
        tell: told, before anything is decoded, how the source is taken; all of it is in the result's
        warnings too.

    Raises:
        DataError: with the path and the reason.
    """
    store = Store(cache or default_cache())
    ask = _Ask(config, store, progress, tell or (lambda _: None), recheck)
    find = _catalog if config.source in catalog.NAMES else _npz if _is_npz(config.source) else _files
    said, found = find(ask)
    dataset = divide(found.folder, read_manifest(found.folder), config, seed)
    return replace(
        dataset,
        name=found.name,
        pixel_range=found.pixel_range,
        warnings=tuple(map(as_text, (*store.notes, *said, *found.warnings, *dataset.warnings))),
    )


def look(config: DatasetConfig) -> ImageFiles | None:
    """A folder or list as it would be taken, without decoding anything; None for what cannot be looked at so.

    Raises:
        DataError: with the path and the reason.
    """
    if config.source in catalog.NAMES or _is_npz(config.source):
        return None
    path = _existing(config.source)
    return None if is_archive(path) and path.is_file() else _read_files(path, config)


def _catalog(ask: _Ask) -> tuple[list[str], Prepared]:
    """A data set that is known by name: sentences about how it is taken, and the data."""
    config = ask.config
    said = _unused(config, "layout", "splits", "columns", "ignore", "range", "max_pixels")
    mark = hashlib.sha256(
        f"v{VERSION} {config.source} {config.image_size} {config.color}".encode()
    ).hexdigest()
    found = ask.store.find(mark)
    if not found:
        arrays = catalog.digits() if config.source == "digits" else catalog.keras_set(config.source)
        found = _add_arrays(ask, mark, arrays)
    return said, found


def _npz(ask: _Ask) -> tuple[list[str], Prepared]:
    """The same of an `.npz`, whose content is read every time."""
    config = ask.config
    path = _existing(config.source)
    said = _unused(config, "layout", "splits", "columns", "ignore", "max_pixels")
    more = "" if config.range == "auto" else f" {config.range}"
    state = f"v{VERSION} {sha256_of(path)} {path.stem} {config.image_size} {config.color}{more}"
    mark = hashlib.sha256(state.encode()).hexdigest()
    found = ask.store.find(mark)
    if not found:
        arrays = read_npz(path, config.known_range())
        for sentence in arrays.warnings:
            ask.tell(sentence)
        found = _add_arrays(ask, mark, arrays)
    return said, found


def _files(ask: _Ask) -> tuple[list[str], Prepared]:
    """The same of image files: a folder, an archive of one, or a list."""
    config, store = ask.config, ask.store
    path = _existing(config.source)
    if is_archive(path) and path.is_file():
        path = _unpacked(path, store)
    source = _read_files(path, config)
    for sentence in source.warnings:
        ask.tell(as_text(sentence))
    _check_files(source)
    mark, like = fingerprint(source, config), likeness(source, config)
    found = None if ask.recheck else store.find(mark)
    if not found:
        with store.preparing():
            # Another process may just have made it.
            found = (None if ask.recheck else store.find(mark)) or _same_content(ask, like, source)
            found = found or store.add(
                mark, source.name, lambda folder: decode_files(source, config, folder, ask.progress)
            )
            found = replace(found, name=source.name)
            for known in (mark, like):
                store.note(known, found)
    if not has_originals(found.folder):
        with store.preparing():
            add_originals(found.folder, source.files, ask.progress)
    return list(source.warnings), found


def _same_content(ask: _Ask, like: str, source: ImageFiles) -> Prepared | None:
    """Data prepared from files of the same paths and sizes, if their content is the same too."""
    found = ask.store.find(like)
    same = found and holds(read_manifest(found.folder), source, ask.config, ask.progress)
    return found if same else None


def _is_npz(source: str) -> bool:
    path = _expanded(source)
    try:
        return path.suffix.lower() == ".npz" and path.is_file()
    except (OSError, ValueError):
        return False


def _expanded(source: str) -> Path:
    return Path(source).expanduser() if source.startswith("~/") else Path(source)


def _existing(source: str) -> Path:
    path = _expanded(source)
    try:
        exists = path.exists()
    except OSError as error:
        raise DataError(f"The data set {shown(source)} cannot be read: {error.strerror}.") from error
    if not exists:
        raise DataError(
            f"The data set {shown(source)} was not found: it is neither a file or folder here nor one of "
            f"{', '.join(catalog.NAMES)}."
        )
    return path


def _read_files(path: Path, config: DatasetConfig) -> ImageFiles:
    """A folder or list as files with labels, settings that mean nothing for it named."""
    is_list = path.suffix.lower() in TABLES and path.is_file()
    if is_list:
        source, unused = read_list(path, config), _unused(config, "layout")
    else:
        source = scan_folder(path, config)
        unused = _unused(config, "columns") if config.layout != "auto" else []
    return replace(source, warnings=tuple(map(as_text, (*source.warnings, *unused))))


def _unused(config: DatasetConfig, *keys: str) -> list[str]:
    """Names settings that the user gave and that have no meaning for this source."""
    default = DatasetConfig()
    given = [f"dataset.{key}" for key in keys if getattr(config, key) != getattr(default, key)]
    return [f"Not used: {', '.join(given)}, which means nothing for {config.source}."] if given else []


def _unpacked(archive: Path, store: Store) -> Path:
    """The archive's folder, unpacked once; it carries the archive's name."""
    folder = store.archives / sha256_of(archive)[:16] / archive_stem(archive)
    with store.preparing():
        if not folder.exists():
            unpack(archive, folder)
    return folder


def _add_arrays(ask: _Ask, mark: str, arrays: ImageArrays) -> Prepared:
    counts = Counter(arrays.pools["train"][1].tolist())
    _check_classes(arrays.name, arrays.classes, counts, set(arrays.pools))
    with ask.store.preparing():
        return ask.store.find(mark) or ask.store.add(
            mark, arrays.name, lambda folder: write_arrays(arrays, ask.config, folder, ask.progress)
        )


def _check_files(source: ImageFiles) -> None:
    counts = Counter(file.label for file in source.files if file.pool == "train")
    _check_classes(source.name, source.classes, counts, {file.pool for file in source.files})


def _check_classes(name: str, classes: tuple[str, ...], counts: Counter[int], pools: set[str]) -> None:
    """What would fail after a long decode fails before it."""
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no class"
        raise DataError(f"The data set {name} has {found}; a classifier needs at least two.")
    for cls in classes:
        if not cls.isprintable() or not cls.strip():
            raise DataError(
                f"The class {cls!r} of {name} has a name that cannot be printed on one line. Rename it."
            )
    if pools >= {"validation", "test"}:
        return
    for label, cls in enumerate(classes):
        if counts[label] < 2:
            raise DataError(
                f"The class {cls!r} of {name} has only {counts[label]} image to train on, too few to hold "
                "some out. Add images, or remove the class."
            )
