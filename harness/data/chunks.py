"""Decode image files in chunks into their rows of an array, in this process or in others."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.pixel_range import Extent, Range
from harness.data.source import ImageFile
from harness.errors import DataError
from harness.machine import usable_cores
from harness.paths.prepared import images_file

CHUNK = 500
SAFE_PATH = "PYTHONSAFEPATH"
FEW = 2 * CHUNK
"""The most images that are decoded in this process: starting others would take longer."""
CLIP = 25
"""So many images take about as long as a clip."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one call decodes: files, and the rows of the arrays they fill."""

    pool: str
    folder: Path
    rows: tuple[int, ...]
    paths: tuple[str, ...]
    size: tuple[int, int]
    channels: int
    pixel_range: Range | None
    max_pixels: int
    frames: int = 0
    """Frames that are taken of each clip; 0: the files are images."""
    postpone: bool = True
    """Leave images of which only one should be in memory."""

    def one_at_a_time(self) -> Chunk:
        """This chunk, but with the largest images decoded too."""
        return replace(self, postpone=False)

    def with_range(self, pixel_range: Range) -> Chunk:
        """This chunk, but with a known range for files of more than 8 bits a channel."""
        return replace(self, pixel_range=pixel_range)


@dataclass(slots=True)
class Outcome:
    """What decoding a chunk gave."""

    chunk: Chunk
    contents: list[bytes] = field(default_factory=list)
    """SHA-256 of each file's bytes."""
    pixels: list[int] = field(default_factory=list)
    """Hash of each image's pixels; 0 where unreadable."""
    failures: dict[int, str] = field(default_factory=dict)
    """Why a file cannot be used, by row."""
    extents: dict[int, Extent] = field(default_factory=dict)
    """What is known of the values in files with more than 8 bits a channel, by row."""
    postponed: list[int] = field(default_factory=list)
    """Rows left for later."""
    kinds: dict[int, str] = field(default_factory=dict)
    """The kinds of files that were read, by row."""
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Height and width of the pictures in files that were read, upright, by row."""
    animated: list[int] = field(default_factory=list)
    """Rows of which only the first frame is kept."""
    repeated: list[int] = field(default_factory=list)
    """Rows of clips in which a frame is there more than once."""
    clipped: int = 0
    """Values outside the range."""
    brightest: int = 0


def chunks_of(like: Chunk, pool: str, files: Sequence[ImageFile], rows: Sequence[int]) -> list[Chunk]:
    """Chunks for the files of a pool at these rows."""
    most = CHUNK // CLIP if like.frames else CHUNK
    return [
        replace(like, pool=pool, rows=tuple(some), paths=tuple(str(files[row].path) for row in some))
        for start in range(0, len(rows), most)
        if (some := rows[start : start + most])
    ]


def decode_chunks(chunks: Sequence[Chunk]) -> Iterator[Outcome]:
    """Decode all chunks; their outcomes in the order in which they are done."""
    if sum(len(chunk.rows) * (CLIP if chunk.frames else 1) for chunk in chunks) <= FEW:
        yield from map(_decode_chunk, chunks)
        return
    with _fresh_interpreters():
        processes = ProcessPoolExecutor(
            max_workers=usable_cores(),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_ignore_interrupts,
        )
        # Only now are they started.
        waiting = [processes.submit(_decode_chunk, chunk) for chunk in chunks]
    with processes:
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "A process that decoded images was ended from outside, as systems do when memory runs out. "
                "Run the command again with more memory to spare; if one image does it, find it and pass it "
                "over with dataset.ignore."
            ) from error
        finally:
            processes.shutdown(cancel_futures=True)


def pixel_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """64 bits that tell images apart; never 0."""
    found = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=8).digest()
    return int.from_bytes(found, "big") or 1


@contextmanager
def _fresh_interpreters() -> Iterator[None]:
    """Inside, Python processes start without the working directory on their `sys.path` or the main module.

    `multiprocessing` takes no options for them. A `random.py` beside the images is not ours to run; and the
    main module, which it would import anew, may be a script that sweeps as soon as it is imported.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    main = vars(sys.modules["__main__"])
    origin: dict[str, object] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main.update(dict.fromkeys(origin))
    try:
        yield
    finally:
        main.update(origin)
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _ignore_interrupts() -> None:
    """A ctrl-C in the terminal, or its end, is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _decode_chunk(chunk: Chunk) -> Outcome:
    images = np.lib.format.open_memmap(images_file(chunk.folder, chunk.pool), "r+")
    outcome = Outcome(chunk)
    for row, path in zip(chunk.rows, chunk.paths, strict=True):
        _decode_one(row, path, images, outcome)
    images.flush()
    return outcome


def _decode_one(row: int, path: str, images: npt.NDArray[np.uint8], outcome: Outcome) -> None:
    from harness.data.clips import decode_clip
    from harness.data.decode import MAX_PIXELS, FloatsError, UnreadableError, decode, is_large

    chunk = outcome.chunk
    content, hashed = b"", 0
    try:
        content = Path(path).read_bytes()
        if chunk.frames:
            clip = decode_clip(content, chunk.frames, chunk.size, chunk.channels, chunk.max_pixels)
            images[row] = clip.pixels
            hashed = pixel_hash(clip.pixels)
            outcome.sizes[row] = clip.full_size
            outcome.brightest = max(outcome.brightest, int(clip.pixels.max()))
            if clip.repeated:
                outcome.repeated.append(row)
        elif chunk.postpone and chunk.max_pixels > MAX_PIXELS and is_large(content, chunk.size):
            outcome.postponed.append(row)
        else:
            found = decode(content, chunk.size, chunk.channels, chunk.pixel_range, chunk.max_pixels)
            images[row] = found.pixels
            hashed = pixel_hash(found.pixels)
            outcome.kinds[row] = found.kind
            outcome.sizes[row] = found.full_size
            if found.animated:
                outcome.animated.append(row)
            outcome.clipped += found.clipped
            if found.extent is None:
                outcome.brightest = max(outcome.brightest, int(found.pixels.max()))
            else:
                outcome.extents[row] = found.extent
    except FloatsError as error:
        outcome.extents[row] = error.extent
        outcome.failures[row] = str(error)
    except OSError as error:
        outcome.failures[row] = error.strerror or str(error)
    except UnreadableError as error:
        outcome.failures[row] = str(error)
    except MemoryError:
        outcome.failures[row] = "it needs more memory than there is"
    outcome.pixels.append(hashed)
    outcome.contents.append(hashlib.sha256(content).digest())
