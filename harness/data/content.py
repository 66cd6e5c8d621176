"""What identifies a source: quickly by names and times, surely by content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.data.manifest import VERSION, Manifest
from harness.data.pixel_range import Range
from harness.data.source import POOLS, ImageFiles
from harness.experiment.dataset_config import LONGEST_SIDE, DatasetConfig
from harness.paths import sha256_of
from harness.records import Progress

LABEL = "reading files"
THREADS = 8


def fingerprint(source: ImageFiles, config: DatasetConfig) -> str:
    """A hash that changes when a file is added, removed, renamed or written, or decoding would differ."""
    state = hashlib.sha256(f"{_looks(config)} {source.name}\n".encode())
    state.update("\0".join(source.classes).encode())
    for file in source.files:
        times = f"{file.modified}\0{file.changed}\0{file.inode}"
        state.update(f"{file.path}\0{file.label}\0{file.pool}\0{file.size}\0{times}\n".encode())
    return state.hexdigest()


def likeness(source: ImageFiles, config: DatasetConfig) -> str:
    """A hash that sources with equal paths and sizes share: their content may be equal too, so that it is
    worth reading."""
    state = hashlib.sha256(f"like {_looks(config)}\n".encode())
    state.update("\0".join(source.classes).encode())
    for file in source.files:
        state.update(f"{file.path}\0{file.label}\0{file.pool}\0{file.size}\n".encode())
    return state.hexdigest()


def _looks(config: DatasetConfig) -> str:
    """What decides arrays as far as it is known before any file is read; what is as always is left out."""
    counts = config.image_size is None and config.longest_side != LONGEST_SIDE
    longest = f" up to {config.longest_side}" if counts else ""
    return f"{settings(config)}{longest} {config.range}"


def settings(config: DatasetConfig) -> str:
    """What decides pixels, beside their size, as text; what is as it always was is left out."""
    from harness.data.decode import MAX_PIXELS

    more = f" {config.max_pixels} pixels" if config.max_pixels != MAX_PIXELS else ""
    clips = f" {config.frames} frames" if config.frames else ""
    return f"v{VERSION} {config.image_size} {config.color}{more}{clips}"


def content_digest(
    source: ImageFiles,
    config: DatasetConfig,
    picture: tuple[int, int, int],
    pixel_range: Range | None,
    contents: Mapping[str, Sequence[bytes]],
) -> str:
    """SHA-256 (hex) of a source's images and of how they are decoded.

    Args:
        source: the images.
        config: how they are decoded.
        picture: height, width, channels of an image or of a clip's frame.
        pixel_range: values that became 0 and 255; None for images of 8 bits.
        contents: SHA-256 of each file by pool.
    """
    height, width, channels = picture
    digest = hashlib.sha256(f"{settings(config)}\n{(height, width)}\n{channels}\n".encode())
    digest.update("\0".join(source.classes).encode())
    if pixel_range is not None:
        digest.update(f"\nfrom {pixel_range[0]} to {pixel_range[1]}\n".encode())
    for pool in POOLS:
        files = [file for file in source.files if file.pool == pool]
        for file, content in zip(files, contents.get(pool, []), strict=True):
            digest.update(f"{file.name}\0{file.label}\0{pool}\0".encode() + content)
    return digest.hexdigest()


def holds(manifest: Manifest, source: ImageFiles, config: DatasetConfig, progress: Progress) -> bool:
    """Whether prepared data was made from files of exactly this content; reads all of them."""
    contents: dict[str, list[bytes]] = {pool: [] for pool in POOLS}
    with ThreadPoolExecutor(THREADS) as threads:
        paths = [file.path for file in source.files]
        for done, (file, content) in enumerate(
            zip(source.files, threads.map(_hashed, paths), strict=True), 1
        ):
            contents[file.pool].append(content)
            if done % 1000 == 0 or done == len(paths):
                progress(LABEL, done, len(paths))
    height, width, channels = manifest.image_shape[-3:]
    known = manifest.pixel_range
    pixel_range = (known[0], known[1]) if known else None
    return manifest.digest == content_digest(source, config, (height, width, channels), pixel_range, contents)


def _hashed(path: Path) -> bytes:
    try:
        return bytes.fromhex(sha256_of(path))
    except OSError:
        return hashlib.sha256(b"").digest()  # as decoding has it
