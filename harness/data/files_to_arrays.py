"""Decode a source's files, in parallel, straight into the memory-mapped arrays of the cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.chunks import Chunk, Outcome, chunks_of, decode_chunks
from harness.data.content import content_digest
from harness.data.failures import Failure, judge, say_failures
from harness.data.originals import FOLDER, keep_originals
from harness.data.pixel_range import (
    Choice,
    Extent,
    Range,
    UnknownRangeError,
    choose_range,
    given_range,
    proposal,
)
from harness.data.sentences import counted
from harness.data.sources import POOLS, ImageFile, ImageFiles
from harness.data.store import VERSION, Manifest
from harness.errors import DataError
from harness.experiment.schema import DatasetConfig
from harness.records import Progress

SAMPLE = 2000
"""Headers read to find the commonest size and whether there is colour."""
LONGER_SIDE = 96
DARK = 32
"""Images whose brightest pixel is below are likely to show something else than brightness."""
LABEL = "decoding images"
_AS_BYTES: Range = (0.0, 255.0)


_ByPool = dict[str, list[ImageFile]]
_Row = tuple[str, int]
"""Pool, and row in its arrays."""


@dataclass(slots=True)
class _Known:
    """What is known of the images while they are decoded; by pool, a value for each image."""

    labels: dict[str, npt.NDArray[np.int32]]
    hashes: dict[str, npt.NDArray[np.uint64]]
    contents: dict[str, list[bytes]]
    failures: dict[_Row, str] = field(default_factory=dict)
    """Reason by pool and row."""
    extents: dict[_Row, Extent] = field(default_factory=dict)
    """Of files with more than 8 bits a channel."""
    postponed: list[_Row] = field(default_factory=list)
    """Images so large that only one should be in memory."""
    kinds: dict[_Row, str] = field(default_factory=dict)
    animated: set[_Row] = field(default_factory=set)
    clipped: int = 0
    brightest: int = 0

    def take(self, outcome: Outcome) -> None:
        """Note what a chunk gave; what was known of its images before gives way."""
        pool, rows = outcome.chunk.pool, list(outcome.chunk.rows)
        self.hashes[pool][rows] = outcome.pixels
        for row, content in zip(rows, outcome.contents, strict=True):
            self.contents[pool][row] = content
            self.failures.pop((pool, row), None)
        self.failures.update({(pool, row): reason for row, reason in outcome.failures.items()})
        self.extents.update({(pool, row): extent for row, extent in outcome.extents.items()})
        self.kinds.update({(pool, row): kind for row, kind in outcome.kinds.items()})
        self.postponed += [(pool, row) for row in outcome.postponed]
        self.animated |= {(pool, row) for row in outcome.animated}
        self.clipped += outcome.clipped
        self.brightest = max(self.brightest, outcome.brightest)


def decode_files(source: ImageFiles, config: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    """Fill `folder` with the arrays of every pool.

    Raises:
        DataError: more images are unreadable than allowed, or all of a class or split.
    """
    size, channels = _shape(source, config)
    by_pool: _ByPool = {
        pool: files for pool in POOLS if (files := [file for file in source.files if file.pool == pool])
    }
    known = _Known(
        {pool: np.array([file.label for file in files], np.int32) for pool, files in by_pool.items()},
        {pool: np.zeros(len(files), np.uint64) for pool, files in by_pool.items()},
        {pool: [b""] * len(files) for pool, files in by_pool.items()},
    )
    first = Chunk("", folder, (), (), size, channels, config.known_range(), config.max_pixels)
    every: list[Chunk] = []
    for pool, files in by_pool.items():
        np.lib.format.open_memmap(
            folder / f"{pool}_images.npy", "w+", np.uint8, (len(files), *size, channels)
        )
        every += chunks_of(first, pool, files, range(len(files)))
    done = 0
    for outcome in decode_chunks(every):
        known.take(outcome)
        done += len(outcome.chunk.rows) - len(outcome.postponed)
        progress(LABEL, done, len(source.files))
    alone = first.one_at_a_time()
    for row in known.postponed:
        for outcome in decode_chunks(_some(alone, by_pool, [row])):
            known.take(outcome)
        done += 1
        progress(LABEL, done, len(source.files))
    pixel_range, said, again = _range_of_deep(known, config)
    if pixel_range is not None:
        large = set(known.postponed)
        quick = [row for row in again if row not in large]
        for outcome in decode_chunks(_some(first.with_range(pixel_range), by_pool, quick)):
            known.take(outcome)
        for row in again - set(quick):
            for outcome in decode_chunks(_some(alone.with_range(pixel_range), by_pool, [row])):
                known.take(outcome)

    failures = sorted(Failure(by_pool[pool][row], reason) for (pool, row), reason in known.failures.items())
    judge(failures, source, config)
    for pool, at in known.failures:
        known.labels[pool][at] = -1
    for pool in by_pool:
        np.save(folder / f"{pool}_labels.npy", known.labels[pool])
        np.save(folder / f"{pool}_hashes.npy", known.hashes[pool])
    keep_originals(
        folder / FOLDER,
        [file for files in by_pool.values() for file in files],
        [
            "" if (pool, row) in known.failures else known.kinds.get((pool, row), "")
            for pool, files in by_pool.items()
            for row in range(len(files))
        ],
    )
    return Manifest(
        version=VERSION,
        name=source.name,
        digest=content_digest(source, config, (*size, channels), pixel_range, known.contents),
        classes=list(source.classes),
        image_shape=[*size, channels],
        pools={pool: len(files) for pool, files in by_pool.items()},
        warnings=[*say_failures(failures), *said, *_say_kinds(known)],
        pixel_range=pixel_range,
    )


def _some(like: Chunk, by_pool: _ByPool, rows: Sequence[_Row]) -> list[Chunk]:
    found: list[Chunk] = []
    for pool, files in by_pool.items():
        found += chunks_of(like, pool, files, [row for one, row in rows if one == pool])
    return found


def _range_of_deep(known: _Known, config: DatasetConfig) -> tuple[Range | None, list[str], set[_Row]]:
    """The range of files with more than 8 bits a channel, what to say, and which are to be decoded again
    with it."""
    given, deep = config.known_range(), known.extents
    if not deep:
        unused = "Not used: dataset.range, for no image has more than 8 bits a channel."
        return None, [unused] if given else [], set()
    if given is not None:
        return given, [f"{_number(deep)}: {given_range(given, known.clipped)}."], set()
    for kinds in ("biuf", "biu", "f"):  # all together, or those that have one scale
        group = {row: extent for row, extent in deep.items() if extent.kind in kinds}
        choice = _choice(group)
        if choice is not None:
            for row in deep.keys() - group.keys():
                known.failures[row] = f"its pixels have another scale than those of {_number(group)}"
            # Those of 8 bits in a file of 16 would otherwise lose them all.
            return choice.pixel_range or _AS_BYTES, [f"{_number(group)}: {choice.sentence}."], set(group)
    why = _why_unknown(deep)
    known.failures.update(dict.fromkeys(deep, why))
    return None, [], set()


def _choice(group: dict[_Row, Extent]) -> Choice | None:
    try:
        return choose_range(group.values()) if group else None
    except UnknownRangeError:
        return None


def _why_unknown(deep: dict[_Row, Extent]) -> str:
    try:
        choose_range(deep.values())
    except UnknownRangeError as error:
        return f"it has more than 8 bits a channel, and {error}. {proposal(deep.values())}"
    raise AssertionError


def _number(deep: dict[_Row, Extent]) -> str:
    return f"{counted(len(deep), 'image')} with more than 8 bits a channel"


def _say_kinds(known: _Known) -> list[str]:
    said = []
    if known.animated:
        said.append(f"Of {len(known.animated)} animated images only the first frame is used.")
    if 0 < known.brightest < DARK:
        said.append(
            f"The brightest pixel of all images is {known.brightest} of 255, so that they are nearly black: "
            "they may be class maps or masks, or wrongly converted."
        )
    return said


def _shape(source: ImageFiles, config: DatasetConfig) -> tuple[tuple[int, int], int]:
    """Height and width, and channels."""
    from harness.data.decode import Header, UnreadableError, read_header

    headers: list[Header] = []
    if config.image_size is None or config.color == "auto":
        reason = ""
        for file in source.files[:: max(1, len(source.files) // SAMPLE)]:
            try:
                headers.append(read_header(file.path.read_bytes(), config.max_pixels))
            except (UnreadableError, OSError) as error:
                reason = reason or f"{file.path}: {error}"
        if not headers:
            raise DataError(f"None of the images of {source.name} can be read. The first: {reason}.")
    channels = {"grey": 1, "rgb": 3}.get(config.color) or (1 if all(h.grey for h in headers) else 3)
    if isinstance(config.image_size, int):
        return (config.image_size, config.image_size), channels
    if config.image_size is not None:
        return config.image_size, channels
    height, width = Counter((h.height, h.width) for h in headers).most_common(1)[0][0]
    scale = min(1.0, LONGER_SIDE / max(height, width))
    return (max(2, round(height * scale)), max(2, round(width * scale))), channels
