"""From a data set's configuration to arrays on disk and one split of them."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data import catalog
from harness.data.archive import archive_stem, is_archive, unpack
from harness.data.files_to_arrays import LABEL, decode_files, fingerprint, pixel_hash
from harness.data.folder import read_manifest as read_csv
from harness.data.folder import scan_folder
from harness.data.npz import read_npz
from harness.data.originals import add_originals, has_originals
from harness.data.sources import ImageArrays, ImageFiles, Pool
from harness.data.split import Indices, hold_out, limit
from harness.data.store import VERSION, Manifest, Store, read_manifest
from harness.errors import DataError
from harness.experiment.parameters import shown
from harness.experiment.schema import DatasetConfig
from harness.paths import cache as default_cache
from harness.paths import sha256_of, write_file
from harness.records import Dataset, Progress

Labels = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]


def prepare(config: DatasetConfig, *, seed: int, progress: Progress, cache: Path | None = None) -> Dataset:
    """Find the data, decode it unless that was done before, and split it.

    Args:
        config: the `dataset` section of an experiment.
        seed: decides the validation split; the test split, once held out, depends on the data alone.
        progress: told while images are decoded.
        cache: where prepared data is kept; by default `harness.paths.cache()`.

    Raises:
        DataError: with the path and the reason.
    """
    store = Store(cache or default_cache())
    folder = _prepared(config, store, progress)
    manifest = read_manifest(folder)
    dataset = _split(folder, manifest, config, seed)
    return replace(dataset, warnings=(*store.notes, *dataset.warnings))


def _prepared(config: DatasetConfig, store: Store, progress: Progress) -> Path:
    """The folder with the arrays, made if need be."""
    source = config.source
    if source in catalog.NAMES:
        mark = hashlib.sha256(f"v{VERSION} {source} {config.image_size} {config.color}".encode()).hexdigest()
        found = store.find(mark)
        if found:
            return found
        arrays = catalog.digits() if source == "digits" else catalog.keras_set(source)
        return _add_arrays(store, mark, arrays, config, progress)
    path = Path(source).expanduser() if source.startswith("~/") else Path(source)
    try:
        exists = path.exists()
    except OSError as error:
        raise DataError(f"The data set {shown(source)} cannot be read: {error.strerror}.") from error
    if not exists:
        raise DataError(
            f"The data set {shown(source)} was not found: it is neither a file or folder here nor one of "
            f"{', '.join(catalog.NAMES)}."
        )
    if path.suffix.lower() == ".npz" and path.is_file():
        mark = hashlib.sha256(
            f"v{VERSION} {sha256_of(path)} {path.stem} {config.image_size} {config.color}".encode()
        ).hexdigest()
        return store.find(mark) or _add_arrays(store, mark, read_npz(path), config, progress)
    if is_archive(path) and path.is_file():
        path = _unpacked(path, store)
    files = (
        read_csv(path)
        if path.suffix.lower() == ".csv" and path.is_file()
        else scan_folder(path, config.layout)
    )
    _check_classes(
        files.name, files.classes, Counter(f.label for f in files.files if f.pool == "train"), files
    )
    mark = fingerprint(files, config)
    found = store.find(mark)
    if not found:
        with store.preparing():
            found = store.find(mark) or store.add(
                mark, files.name, lambda folder: decode_files(files, config, folder, progress)
            )
    if not has_originals(found):
        with store.preparing():
            add_originals(found, files.files, progress)
    return found


def _unpacked(archive: Path, store: Store) -> Path:
    """The archive's folder, unpacked once; it carries the archive's name."""
    folder = store.archives / sha256_of(archive)[:16] / archive_stem(archive)
    with store.preparing():
        if not folder.exists():
            unpack(archive, folder)
    return folder


def _add_arrays(
    store: Store, mark: str, arrays: ImageArrays, config: DatasetConfig, progress: Progress
) -> Path:
    labels = arrays.pools["train"][1]
    _check_classes(arrays.name, arrays.classes, Counter(labels.tolist()), arrays)
    with store.preparing():
        return store.find(mark) or store.add(
            mark, arrays.name, lambda folder: _write_arrays(arrays, config, folder, progress)
        )


def _write_arrays(arrays: ImageArrays, config: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    size = arrays.pools["train"][0].shape[1:3]
    if isinstance(config.image_size, int):
        size = (config.image_size, config.image_size)
    elif config.image_size is not None:
        size = config.image_size
    native = arrays.pools["train"][0].shape[3]
    channels = 1 if config.color == "grey" else 3 if config.color == "rgb" else int(native)
    digest = hashlib.sha256(f"v{VERSION} {size} {channels} {arrays.classes}".encode())
    total, done = sum(len(labels) for _, labels in arrays.pools.values()), 0
    for pool, (images, labels) in arrays.pools.items():
        target = np.lib.format.open_memmap(
            folder / f"{pool}_images.npy", "w+", np.uint8, (len(images), *size, channels)
        )
        hashes = np.zeros(len(images), np.uint64)
        for row, image in enumerate(images):
            target[row] = _fitted(image, (int(size[0]), int(size[1])), channels)
            hashes[row] = pixel_hash(target[row])
            done += 1
            if done % 5000 == 0 or done == total:
                progress(LABEL, done, total)
        target.flush()
        np.save(folder / f"{pool}_labels.npy", labels.astype(np.int32))
        np.save(folder / f"{pool}_hashes.npy", hashes)
        digest.update(f"{pool}\0".encode() + labels.astype("<i4").tobytes() + hashes.astype("<u8").tobytes())
    return Manifest(
        version=VERSION,
        name=arrays.name,
        digest=digest.hexdigest(),
        classes=list(arrays.classes),
        image_shape=[int(size[0]), int(size[1]), channels],
        pools={pool: len(labels) for pool, (_, labels) in arrays.pools.items()},
        warnings=list(arrays.warnings),
    )


def _fitted(image: npt.NDArray[np.uint8], size: tuple[int, int], channels: int) -> npt.NDArray[np.uint8]:
    if image.shape == (*size, channels):
        return image
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(*size, channels)


def _check_classes(
    name: str, classes: tuple[str, ...], counts: Counter[int], source: ImageFiles | ImageArrays
) -> None:
    """What would fail after a long decode fails before it."""
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no class"
        raise DataError(f"The data set {name} has {found}; a classifier needs at least two.")
    for cls in classes:
        if not cls.isprintable() or not cls.strip():
            raise DataError(
                f"The class {cls!r} of {name} has a name that cannot be printed on one line. Rename it."
            )
    pools = {file.pool for file in source.files} if isinstance(source, ImageFiles) else set(source.pools)
    if pools >= {"validation", "test"}:
        return
    for label, cls in enumerate(classes):
        if counts[label] < 2:
            raise DataError(
                f"The class {cls!r} of {name} has only {counts[label]} image to train on, too few to hold "
                "some out. Add images, or remove the class."
            )


def _split(folder: Path, manifest: Manifest, config: DatasetConfig, seed: int) -> Dataset:
    classes = manifest.classes
    labels: dict[str, Labels] = {p: np.load(folder / f"{p}_labels.npy") for p in manifest.pools}
    hashes: dict[str, Hashes] = {p: np.load(folder / f"{p}_hashes.npy") for p in manifest.pools}
    warnings = [*manifest.warnings]

    _warn_of_lookalikes(classes, warnings)
    used: dict[str, Indices] = {p: np.flatnonzero(labels[p] >= 0) for p in manifest.pools}
    _warn_of_contradictions(labels, hashes, used, classes, warnings)
    for other, word in (("test", "test"), ("validation", "validation")):
        if other in used:
            seen_there = np.isin(hashes["train"][used["train"]], hashes[other][used[other]])
            if seen_there.any():
                used["train"] = used["train"][~seen_there]
                warnings.append(
                    f"{int(seen_there.sum())} training images that are also {word} images were left out of "
                    "training."
                )
    pools: dict[str, Pool] = {"train": "train", "validation": "validation", "test": "test"}
    train = used["train"]
    if "test" in used:
        test = used["test"]
    else:
        pools["test"] = "train"
        train, test = hold_out(
            train,
            labels["train"],
            hashes["train"],
            config.test_fraction,
            int(manifest.digest[:8], 16),
            classes=classes,
            what="the test",
        )
    if config.limit_train is not None:
        train = limit(train, labels["train"], config.limit_train, seed, classes=classes)
    if "validation" in used:
        validation = used["validation"]
    else:
        pools["validation"] = "train"
        train, validation = hold_out(
            train,
            labels["train"],
            hashes["train"],
            config.validation_fraction,
            seed,
            classes=classes,
            what="validation",
        )
    key = hashlib.sha256(
        f"{seed} {config.validation_fraction} {config.test_fraction} {config.limit_train}".encode()
    ).hexdigest()[:12]
    file = folder / f"split-{key}.npz"
    content = io.BytesIO()
    np.savez(
        content,
        train=train,
        validation=validation,
        test=test,
        pools=np.array([pools[part] for part in ("train", "validation", "test")]),
    )
    # It is computed every time, so a file that differs is damaged.
    if not file.exists() or file.read_bytes() != content.getvalue():
        write_file(file, lambda temporary: temporary.write_bytes(content.getvalue()))
    counted = np.bincount(labels["train"][train], minlength=len(classes))
    height, width, channels = manifest.image_shape
    return Dataset(
        name=manifest.name,
        folder=str(folder),
        split=file.name,
        digest=manifest.digest,
        classes=tuple(classes),
        image_shape=(height, width, channels),
        counts={"train": len(train), "validation": len(validation), "test": len(test)},
        class_counts={name: int(count) for name, count in zip(classes, counted, strict=True)},
        warnings=tuple(warnings),
    )


def _warn_of_lookalikes(classes: list[str], warnings: list[str]) -> None:
    """Names that some file systems, and most people, take for the same."""
    known: dict[str, str] = {}
    for name in classes:
        other = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            warnings.append(
                f"The classes {other!r} and {name!r} differ only in case or accents' encoding; if they are "
                "the same, merge them."
            )


def _warn_of_contradictions(
    labels: dict[str, Labels],
    hashes: dict[str, Hashes],
    used: dict[str, Indices],
    classes: list[str],
    warnings: list[str],
) -> None:
    """Identical images under two labels: the user should know, but only they can say which is right."""
    every = np.concatenate([hashes[pool][used[pool]] for pool in used])
    named = np.concatenate([labels[pool][used[pool]] for pool in used])
    order = np.argsort(every, kind="stable")
    every, named = every[order], named[order]
    clash = np.flatnonzero((every[1:] == every[:-1]) & (named[1:] != named[:-1]))
    if len(clash):
        one, other = classes[named[clash[0]]], classes[named[clash[0] + 1]]
        warnings.append(
            f"{len(clash)} pairs of identical images have two labels, for example {one!r} and {other!r}."
        )
