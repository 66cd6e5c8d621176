"""Decode a source's files, in parallel, straight into the memory-mapped arrays of the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.chunks import Chunk, Outcome, chunks_of, decode_chunks
from harness.data.content import content_digest
from harness.data.deep_files import Row, judge_deep
from harness.data.failures import Failure, judge, say_failures
from harness.data.manifest import VERSION, Manifest
from harness.data.originals import keep_originals
from harness.data.pixel_range import Extent, Range
from harness.data.sentences import counted
from harness.data.source import POOLS, ImageFile, ImageFiles
from harness.data.target_size import target_size
from harness.experiment.dataset_config import DatasetConfig
from harness.paths.prepared import ORIGINALS, hashes_file, images_file, labels_file
from harness.records import Progress

DARK = 32
"""Images whose brightest pixel is below are likely to show something else than brightness."""
LABEL, CLIPS_LABEL = "decoding images", "decoding clips"


@dataclass(slots=True)
class DecodedFiles:
    """What is known of a source's files once they are decoded; their pixels are in the arrays of a folder."""

    by_pool: dict[str, list[ImageFile]]
    """The files in the order of the arrays."""
    image_shape: tuple[int, ...]
    """Height, width, channels of the arrays; of clips, before them the number of frames."""
    labels: dict[str, npt.NDArray[np.int32]]
    """By pool, as all the following: int32 (N,)."""
    hashes: dict[str, npt.NDArray[np.uint64]]
    """Of the pixels, uint64 (N,); 0 where unreadable."""
    contents: dict[str, list[bytes]]
    """SHA-256 of each file."""
    failures: dict[Row, str] = field(default_factory=dict)
    """Why a file cannot be used, by pool and row."""
    extents: dict[Row, Extent] = field(default_factory=dict)
    """What is known of the values in files with more than 8 bits a channel."""
    postponed: list[Row] = field(default_factory=list)
    """Images so large that only one should be in memory."""
    kinds: dict[Row, str] = field(default_factory=dict)
    """What kinds of files were read; see `harness.data.file_kinds`."""
    sizes: dict[Row, tuple[int, int]] = field(default_factory=dict)
    """Height and width of their pictures, upright."""
    animated: set[Row] = field(default_factory=set)
    repeated: set[Row] = field(default_factory=set)
    """Clips in which a frame is there more than once."""
    clipped: int = 0
    brightest: int = 0
    pixel_range: Range | None = None
    """Values that became 0 and 255 in files with more than 8 bits a channel; None: there are none."""
    said: list[str] = field(default_factory=list)
    """Sentences about how pixels were taken."""

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
        self.sizes.update({(pool, row): size for row, size in outcome.sizes.items()})
        self.postponed += [(pool, row) for row in outcome.postponed]
        self.animated |= {(pool, row) for row in outcome.animated}
        self.repeated |= {(pool, row) for row in outcome.repeated}
        self.clipped += outcome.clipped
        self.brightest = max(self.brightest, outcome.brightest)

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width, channels of an image, or of a clip's frame."""
        height, width, channels = self.image_shape[-3:]
        return height, width, channels

    def unreadable(self) -> list[Failure]:
        """The files that cannot be used, sorted by name."""
        return sorted(
            Failure(self.by_pool[pool][row], reason) for (pool, row), reason in self.failures.items()
        )


def decode_files(source: ImageFiles, config: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    """Fill `folder` with the arrays of every pool.

    Raises:
        DataError: more images are unreadable than allowed, or all of a class or split.
    """
    found = decode_all(source, config, folder, progress)
    judge(found.unreadable(), source, config)
    return keep_decoded(found, source, config, folder)


def decode_all(source: ImageFiles, config: DatasetConfig, folder: Path, progress: Progress) -> DecodedFiles:
    """Decode every file into the image arrays of `folder`, however many of them cannot be read.

    Raises:
        DataError: none of the headers that decide the arrays' size can be read.
    """
    size, channels = target_size(source, config)
    frames = config.frames or 0
    shape = (frames, *size, channels) if frames else (*size, channels)
    label = CLIPS_LABEL if frames else LABEL
    by_pool: dict[str, list[ImageFile]] = {
        pool: files for pool in POOLS if (files := [file for file in source.files if file.pool == pool])
    }
    known = DecodedFiles(
        by_pool,
        shape,
        {pool: np.array([file.label for file in files], np.int32) for pool, files in by_pool.items()},
        {pool: np.zeros(len(files), np.uint64) for pool, files in by_pool.items()},
        {pool: [b""] * len(files) for pool, files in by_pool.items()},
    )
    first = Chunk("", folder, (), (), size, channels, config.known_range(), config.max_pixels, frames)
    every: list[Chunk] = []
    for pool, files in by_pool.items():
        np.lib.format.open_memmap(images_file(folder, pool), "w+", np.uint8, (len(files), *shape))
        every += chunks_of(first, pool, files, range(len(files)))
    done = 0
    for outcome in decode_chunks(every):
        known.take(outcome)
        done += len(outcome.chunk.rows) - len(outcome.postponed)
        progress(label, done, len(source.files))
    alone = first.one_at_a_time()
    for row in known.postponed:
        for outcome in decode_chunks(_some(alone, by_pool, [row])):
            known.take(outcome)
        done += 1
        progress(label, done, len(source.files))
    deep = judge_deep(known.extents, config.known_range(), known.clipped)
    known.failures.update(deep.failures)
    if deep.pixel_range is not None:
        large = set(known.postponed)
        quick = [row for row in deep.again if row not in large]
        for outcome in decode_chunks(_some(first.with_range(deep.pixel_range), by_pool, quick)):
            known.take(outcome)
        for row in deep.again - set(quick):
            for outcome in decode_chunks(_some(alone.with_range(deep.pixel_range), by_pool, [row])):
                known.take(outcome)
    known.pixel_range = deep.pixel_range
    known.said = [*deep.said, *_say_kinds(known)]
    return known


def keep_decoded(found: DecodedFiles, source: ImageFiles, config: DatasetConfig, folder: Path) -> Manifest:
    """Write what else belongs beside the image arrays, and what the folder's manifest is to say.

    Files that cannot be used get the label −1.
    """
    for pool, at in found.failures:
        found.labels[pool][at] = -1
    for pool in found.by_pool:
        np.save(labels_file(folder, pool), found.labels[pool])
        np.save(hashes_file(folder, pool), found.hashes[pool])
    keep_originals(
        folder / ORIGINALS,
        [file for files in found.by_pool.values() for file in files],
        [
            "" if (pool, row) in found.failures else found.kinds.get((pool, row), "")
            for pool, files in found.by_pool.items()
            for row in range(len(files))
        ],
    )
    return Manifest(
        version=VERSION,
        name=source.name,
        digest=content_digest(source, config, found.picture, found.pixel_range, found.contents),
        classes=list(source.classes),
        image_shape=list(found.image_shape),
        pools={pool: len(files) for pool, files in found.by_pool.items()},
        warnings=[*say_failures(found.unreadable()), *found.said],
        pixel_range=found.pixel_range,
    )


def _some(like: Chunk, by_pool: Mapping[str, list[ImageFile]], rows: Sequence[Row]) -> list[Chunk]:
    found: list[Chunk] = []
    for pool, files in by_pool.items():
        found += chunks_of(like, pool, files, [row for one, row in rows if one == pool])
    return found


def _say_kinds(known: DecodedFiles) -> list[str]:
    said = []
    if known.animated:
        said.append(f"Of {len(known.animated)} animated images only the first frame is used.")
    if known.repeated:
        frames = known.image_shape[0]
        said.append(
            f"Of {counted(len(known.repeated), 'clip')} a frame is taken more than once, for at {frames} "
            "evenly spread times fewer different ones are seen."
        )
    if 0 < known.brightest < DARK:
        said.append(
            f"The brightest pixel of all images is {known.brightest} of 255, so that they are nearly black: "
            "they may be class maps or masks, or wrongly converted."
        )
    return said
