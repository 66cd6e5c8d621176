"""Features of prepared images, computed once and kept beside them in blocks that any process may add to.

A block holds the features of `BLOCK` neighbouring images of a pool in one view, float32 (BLOCK, F), as one
`.npy` file; rows that nobody has computed yet are NaN. Its name ends in the beginning of its SHA-256: it is
written aside and renamed, and recognised as damaged when it is read. Several workers fill a pool together:
whoever locks a block computes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from harness.errors import DataError
from harness.paths import UNFINISHED, make_folder, write_file
from harness.paths.prepared import ARRAYS, block_lock, block_name, block_of

BLOCK = 64
"""Images whose features stand in one file."""
DIGITS = 16
"""Of the SHA-256 in a block's name."""
OPEN = 64
"""Blocks that are memory-mapped at a time: each takes one of the files that a process may have open."""

Features: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.int64]
Keep: TypeAlias = Callable[[Callable[[], None]], None]
"""Calls a function that writes, and decides what happens where there is no room (an OSError)."""


def keep_now(write: Callable[[], None]) -> None:
    """A `Keep` that waits for nothing."""
    write()


def width_of(folder: Path) -> int | None:
    """How many features an image has in such a folder; None if it has no block that can be read."""
    for file in sorted(folder.glob(ARRAYS)) if folder.is_dir() else []:
        if block_of(file.name) is not None:
            with contextlib.suppress(OSError, ValueError):
                return int(np.load(file, mmap_mode="r", allow_pickle=False).shape[1])
    return None


@dataclass(slots=True)
class FeatureStore:
    """Features of one pool's images in one view, by their positions in the pool."""

    folder: Path
    """Of all features in this view that one network makes of the pool's images."""
    width: int
    """Features of an image."""
    keep: Keep = keep_now
    _files: dict[int, list[Path]] | None = None
    """By block, the files that the folder is known to have; None: it has not been looked at."""
    _changing: set[int] = field(default_factory=set)
    """Blocks whose files may be others than these by now."""
    _done: dict[int, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """By block, which of its rows are there, bool (BLOCK,)."""
    _open: OrderedDict[int, Features] = field(default_factory=OrderedDict)
    """Blocks that are memory-mapped, the one used last at the end."""

    def missing(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Blocks in which features of some of these images are missing, each with the images that are."""
        for block in np.unique(rows // BLOCK).tolist():
            if len(lacking := self.missing_in(block, rows)):
                yield block, lacking

    def missing_in(self, block: int, rows: Rows) -> Rows:
        """Those of the images whose features belong into the block and are not there."""
        own = rows[rows // BLOCK == block]
        if block not in self._done:
            self._done[block] = ~np.isnan(self._whole(block)[:, 0])
        missing: Rows = own[~self._done[block][own % BLOCK]]
        return missing

    @contextmanager
    def claimed(self, block: int) -> Iterator[bool]:
        """Inside, nobody else computes the block; False if somebody else does at present."""
        self._forget(block)  # somebody else may have added to it, or is about to
        lock = FileLock(block_lock(self.folder, block))
        try:
            self.keep(lambda: self._acquire(lock))
        except Timeout:
            yield False
            return
        try:
            for leftover in self.folder.glob(f"{UNFINISHED}-{block_name(block, '*')}"):
                leftover.unlink(missing_ok=True)  # of a process that was killed
            yield True
        finally:
            lock.release()

    def _acquire(self, lock: FileLock) -> None:
        make_folder(self.folder)
        make_folder(Path(lock.lock_file).parent)
        lock.acquire(timeout=0)

    def add(self, block: int, rows: Rows, features: Features) -> None:
        """Keep the features of images of a block that is claimed; durable when this returns.

        Args:
            block: the number of the block.
            rows: the images, int64 (n,).
            features: float32 (n, F), all of them finite.

        Raises:
            DataError: they are not finite, or cannot be written.
        """
        if not np.isfinite(features).all():
            raise DataError(
                "The pretrained network gives numbers that are not finite for some of the images; its "
                "weights do not fit it."
            )
        whole = np.array(self._whole(block))
        whole[rows % BLOCK] = features
        stream = io.BytesIO()
        np.save(stream, whole, allow_pickle=False)
        content = stream.getvalue()
        digest = hashlib.sha256(content).hexdigest()[:DIGITS]
        target = self.folder / block_name(block, digest)
        try:
            self.keep(lambda: write_file(target, lambda temporary: temporary.write_bytes(content)))
        except OSError as error:
            raise DataError(
                f"Features cannot be written to {self.folder}: {error.strerror or error}. Make room there, "
                "or set HARNESS_CACHE to another folder."
            ) from error
        for older in self._named(block):
            if older != target:
                older.unlink(missing_ok=True)
        self._forget(block)

    def read(self, rows: Rows) -> Features:
        """The features of these images, float32 (n, F), which are all there.

        Raises:
            DataError: some are not, because the files have been removed or damaged meanwhile.
        """
        found = np.empty((len(rows), self.width), np.float32)
        numbers = rows // BLOCK
        for block in np.unique(numbers).tolist():
            own = numbers == block
            found[own] = self._mapped(block)[rows[own] % BLOCK]
        if np.isnan(found).any():
            raise DataError(
                f"Features in {self.folder} have been removed or damaged while they were used. Run the "
                "command again: they will be computed anew."
            )
        return found

    def _mapped(self, block: int) -> Features:
        """The block, memory-mapped if that was done of late."""
        if block not in self._open:
            self._open[block] = self._whole(block)
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(block)
        return self._open[block]

    def _forget(self, block: int) -> None:
        """Look at the block's files again when they are needed next."""
        self._done.pop(block, None)
        self._open.pop(block, None)
        self._changing.add(block)

    def _whole(self, block: int) -> Features:
        """What is known of a block; two files of it stand side by side until one is removed."""
        if self._files is None:
            self._files = self._listed()
        if block in self._changing:
            self._changing.remove(block)
            self._files[block] = self._named(block)
        known: list[Features] = []
        for file in self._files.get(block, []):
            try:
                sound = _sound(file, self.width)
            except FileNotFoundError:  # another process has just added to the block
                self._changing.add(block)
                return self._whole(block)
            if sound is not None:
                known.append(sound)
        if len(known) == 1:
            return known[0]
        whole = np.full((BLOCK, self.width), np.nan, np.float32)
        for found in known:
            whole = np.where(np.isnan(whole), found, whole)
        return whole

    def _listed(self) -> dict[int, list[Path]]:
        """All blocks' files."""
        if not self.folder.is_dir():
            return {}
        found: dict[int, list[Path]] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if (block := block_of(entry.name)) is not None:
                    found.setdefault(block, []).append(Path(entry.path))
        return found

    def _named(self, block: int) -> list[Path]:
        return list(self.folder.glob(block_name(block, "*")))


def _sound(file: Path, width: int) -> Features | None:
    """A block's features, memory-mapped; None, and the file removed, if it is damaged.

    Raises:
        FileNotFoundError: it is gone.
        DataError: it cannot be read, which says nothing of its content.
    """
    try:
        if hashlib.sha256(file.read_bytes()).hexdigest().startswith(file.stem.rpartition("-")[2]):
            found: Features = np.load(file, mmap_mode="r", allow_pickle=False)
            if found.shape == (BLOCK, width):
                return found
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"The features in {file} cannot be read: {error.strerror or error}.") from error
    except ValueError:  # an array that is cut off
        pass
    with contextlib.suppress(OSError):
        file.unlink()
    return None
