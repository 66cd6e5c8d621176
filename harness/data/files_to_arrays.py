"""Decode a source's files, in parallel, straight into the memory-mapped arrays of the cache."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.originals import FOLDER, keep_originals
from harness.data.sources import POOLS, ImageFile, ImageFiles, Pool
from harness.data.store import VERSION, Manifest
from harness.errors import DataError
from harness.experiment.schema import DatasetConfig
from harness.records import Progress

CHUNK = 500
FEW = 2 * CHUNK
"""Up to so many images are decoded in this process: starting others takes longer."""
SAMPLE = 2000
"""Headers read to find the commonest size and whether there is colour."""
LONGER_SIDE = 96
LISTED = 20
LABEL = "decoding images"


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one call decodes: files, and the rows of the arrays they fill."""

    target: Path
    rows: range
    paths: tuple[str, ...]
    size: tuple[int, int]
    channels: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    rows: range
    contents: list[bytes]
    """SHA-256 of each file's bytes."""
    pixels: list[int]
    """Hash of each image's pixels; 0 where unreadable."""
    failures: dict[int, str]
    """Reason by row."""
    notes: dict[int, str]
    kinds: list[str]
    """Of each file; empty where unreadable."""


def fingerprint(source: ImageFiles, config: DatasetConfig) -> str:
    """Changes when a file is added, removed, renamed or written, or decoding would differ."""
    state = hashlib.sha256(_settings(config).encode())
    state.update("\0".join(source.classes).encode())
    for file in source.files:
        state.update(f"{file.path}\0{file.label}\0{file.pool}\0{file.size}\0{file.modified}\n".encode())
    return state.hexdigest()


def decode_files(source: ImageFiles, config: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    """Fill `folder` with the arrays of every pool.

    Raises:
        DataError: more images are unreadable than allowed.
    """
    size, channels = _shape(source, config)
    digest = hashlib.sha256(f"{_settings(config)}\n{size}\n{channels}\n".encode())
    digest.update("\0".join(source.classes).encode())
    warnings = list(source.warnings)
    by_pool = {pool: [file for file in source.files if file.pool == pool] for pool in POOLS}
    chunks: list[tuple[Pool, _Chunk]] = []
    labels: dict[str, npt.NDArray[np.int32]] = {}
    hashes: dict[str, npt.NDArray[np.uint64]] = {}
    contents: dict[str, list[bytes]] = {}
    kinds: dict[str, list[str]] = {}
    for pool, files in by_pool.items():
        if files:
            target = folder / f"{pool}_images.npy"
            np.lib.format.open_memmap(target, "w+", np.uint8, (len(files), *size, channels))
            labels[pool] = np.array([file.label for file in files], np.int32)
            hashes[pool] = np.zeros(len(files), np.uint64)
            contents[pool] = [b""] * len(files)
            kinds[pool] = [""] * len(files)
            chunks += [(pool, chunk) for chunk in _chunks(target, files, size, channels)]

    failures: list[tuple[ImageFile, str]] = []
    notes: Counter[str] = Counter()
    done = 0
    for pool, outcome in _run(chunks):
        files = by_pool[pool]
        hashes[pool][outcome.rows.start : outcome.rows.stop] = outcome.pixels
        contents[pool][outcome.rows.start : outcome.rows.stop] = outcome.contents
        kinds[pool][outcome.rows.start : outcome.rows.stop] = outcome.kinds
        for row, reason in outcome.failures.items():
            labels[pool][row] = -1
            failures.append((files[row], reason))
        notes.update(outcome.notes.values())
        done += len(outcome.rows)
        progress(LABEL, done, len(source.files))

    failures.sort(key=lambda failure: failure[0].name)
    _judge(failures, len(source.files), config)
    warnings += [f"{file.path} was skipped: {reason}." for file, reason in failures[:LISTED]]
    if len(failures) > LISTED:
        warnings.append(f"{len(failures) - LISTED} more images were skipped as unreadable.")
    if notes["16-bit"]:
        warnings.append(f"{notes['16-bit']} images with 16 bits a channel were reduced to 8.")
    if notes["animated"]:
        warnings.append(f"Of {notes['animated']} animated images only the first frame is used.")
    for pool, files in by_pool.items():
        for file, content in zip(files, contents.get(pool, []), strict=True):
            digest.update(f"{file.name}\0{file.label}\0{pool}\0".encode() + content)
        if files:
            np.save(folder / f"{pool}_labels.npy", labels[pool])
            np.save(folder / f"{pool}_hashes.npy", hashes[pool])
    keep_originals(
        folder / FOLDER,
        [file for pool in POOLS for file in by_pool[pool]],
        [kind for pool in POOLS for kind in kinds.get(pool, [])],
    )
    return Manifest(
        version=VERSION,
        name=source.name,
        digest=digest.hexdigest(),
        classes=list(source.classes),
        image_shape=[*size, channels],
        pools={pool: len(files) for pool, files in by_pool.items() if files},
        warnings=warnings,
    )


def pixel_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """64 bits that tell images apart; never 0."""
    found = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=8).digest()
    return int.from_bytes(found, "big") or 1


def _settings(config: DatasetConfig) -> str:
    return f"v{VERSION} {config.image_size} {config.color}"


def _shape(source: ImageFiles, config: DatasetConfig) -> tuple[tuple[int, int], int]:
    """Height and width, and channels."""
    from harness.data.decode import Header, UnreadableError, read_header

    headers: list[Header] = []
    if config.image_size is None or config.color == "auto":
        for file in source.files[:: max(1, len(source.files) // SAMPLE)]:
            try:
                headers.append(read_header(file.path.read_bytes()))
            except (UnreadableError, OSError):
                continue
        if not headers:
            raise DataError(f"None of the images of {source.name} can be read.")
    channels = {"grey": 1, "rgb": 3}.get(config.color) or (1 if all(h.grey for h in headers) else 3)
    if isinstance(config.image_size, int):
        return (config.image_size, config.image_size), channels
    if config.image_size is not None:
        return config.image_size, channels
    height, width = Counter((h.height, h.width) for h in headers).most_common(1)[0][0]
    scale = min(1.0, LONGER_SIDE / max(height, width))
    return (max(2, round(height * scale)), max(2, round(width * scale))), channels


def _chunks(target: Path, files: Sequence[ImageFile], size: tuple[int, int], channels: int) -> list[_Chunk]:
    return [
        _Chunk(
            target,
            range(start, min(start + CHUNK, len(files))),
            tuple(str(file.path) for file in files[start : start + CHUNK]),
            size,
            channels,
        )
        for start in range(0, len(files), CHUNK)
    ]


def _run(chunks: list[tuple[Pool, _Chunk]]) -> Iterator[tuple[Pool, _Outcome]]:
    """Outcomes as they come."""
    if sum(len(chunk.rows) for _, chunk in chunks) <= FEW:
        for pool, chunk in chunks:
            yield pool, _decode_chunk(chunk)
        return
    with ProcessPoolExecutor(
        max_workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_ignore_interrupts,
    ) as pool_of_processes:
        waiting = {pool_of_processes.submit(_decode_chunk, chunk): pool for pool, chunk in chunks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool_of_processes.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """A ctrl-C in the terminal is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _decode_chunk(chunk: _Chunk) -> _Outcome:
    from harness.data.decode import UnreadableError, decode

    images = np.lib.format.open_memmap(chunk.target, "r+")
    contents: list[bytes] = []
    pixels: list[int] = []
    failures: dict[int, str] = {}
    notes: dict[int, str] = {}
    kinds: list[str] = []
    for row, path in zip(chunk.rows, chunk.paths, strict=True):
        content, kind = b"", ""
        try:
            content = Path(path).read_bytes()
            decoded = decode(content, chunk.size, chunk.channels)
        except (UnreadableError, OSError, MemoryError) as error:
            failures[row] = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            pixels.append(0)
        else:
            images[row] = decoded.pixels
            pixels.append(pixel_hash(decoded.pixels))
            kind = decoded.kind
            if decoded.note:
                notes[row] = decoded.note
        contents.append(hashlib.sha256(content).digest())
        kinds.append(kind)
    images.flush()
    return _Outcome(chunk.rows, contents, pixels, failures, notes, kinds)


def _judge(failures: list[tuple[ImageFile, str]], total: int, config: DatasetConfig) -> None:
    if len(failures) <= config.max_unreadable * total:
        return
    listed = "\n".join(f"  {file.path}: {reason}" for file, reason in failures[:LISTED])
    more = f"\n  … and {len(failures) - LISTED} more" if len(failures) > LISTED else ""
    raise DataError(
        f"{len(failures)} of {total} images cannot be read, more than the allowed share of "
        f"{config.max_unreadable:.0%} (dataset.max_unreadable). Mend or remove them:\n{listed}{more}"
    )
