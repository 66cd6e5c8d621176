"""Files on nodes that do not see the coordinator's: prepared data goes there, files of a study come back.

Prepared data is known by the SHA-256 of its manifest and of its split: a folder that has these is used as it
is, be it the coordinator's own or another one. A node that has none fetches the files once, in chunks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import psutil
from filelock import FileLock

from harness.errors import EngineError
from harness.paths import (
    UNFINISHED,
    StudyPaths,
    cache,
    make_folder,
    sha256_of,
    sync_folder,
    unfinished_in,
    write_file,
)
from harness.paths.prepared import ARRAYS, FEATURES, MANIFEST, copy_lock
from harness.paths.study import CHECKPOINTS, trial_folder

CHUNK_BYTES = 32 << 20
NODES = "nodes"
"""The folder, in a node's cache, of what has come from coordinators."""
KEPT_CHECKPOINTS = 2
"""Of a trial, on a node from which they have gone to the coordinator."""
Chunk: TypeAlias = Any
"""A reference to bytes in Ray's object store."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """By what prepared data and a split of it are recognised, wherever they are."""

    folder: str
    """Where the coordinator has them."""
    split: str
    """The name of the split's file."""
    manifest_sha256: str
    split_sha256: str

    @classmethod
    def of(cls, folder: str, split: str) -> DataKey:
        """Of prepared data on this machine.

        Raises:
            EngineError: it cannot be read.
        """
        try:
            return cls(folder, split, sha256_of(Path(folder, MANIFEST)), sha256_of(Path(folder, split)))
        except OSError as error:
            raise EngineError(f"The prepared data in {folder} cannot be read: {error.strerror}.") from error

    def is_in(self, folder: Path) -> bool:
        """Whether the folder has this data and this split, both whole."""
        try:
            return (
                sha256_of(folder / MANIFEST) == self.manifest_sha256
                and sha256_of(folder / self.split) == self.split_sha256
            )
        except OSError:
            return False

    @property
    def copy(self) -> Path:
        """The folder of a copy on this machine."""
        return cache() / NODES / "data" / f"{Path(self.folder).name}-{self.manifest_sha256[:16]}"

    def found(self) -> Path | None:
        """The folder on this machine that has the data; None if there is none."""
        return next((one for one in (Path(self.folder), self.copy) if self.is_in(one)), None)


@dataclass(frozen=True, slots=True)
class Published:
    """One file in Ray's object store."""

    name: str
    """Relative to the folder of the prepared data."""
    sha256: str
    chunks: tuple[Chunk, ...]


def publish(key: DataKey, put: Callable[[bytes], Chunk]) -> list[Published]:
    """Put the files that training needs into the object store: arrays, features, the split, the manifest.

    Args:
        key: of data on this machine.
        put: puts bytes there.

    Raises:
        OSError: a file cannot be read.
    """
    folder = Path(key.folder)
    files = [*sorted(folder.glob(ARRAYS)), *sorted((folder / FEATURES).rglob(ARRAYS))]
    files = [file for file in files if not file.match(UNFINISHED)]
    # The manifest is last: where it is, the rest is.
    return [_published(file, folder, put) for file in (*files, folder / key.split, folder / MANIFEST)]


def _published(file: Path, folder: Path, put: Callable[[bytes], Chunk]) -> Published:
    found, chunks = hashlib.sha256(), []
    with file.open("rb") as stream:
        while content := stream.read(CHUNK_BYTES):
            found.update(content)
            chunks.append(put(content))
    return Published(file.relative_to(folder).as_posix(), found.hexdigest(), tuple(chunks))


def fetch(key: DataKey, files: list[Published], get: Callable[[Chunk], bytes]) -> Path:
    """Copy prepared data to this node, once for all of its workers.

    Args:
        key: of the data.
        files: what the coordinator has published of it.
        get: fetches bytes from the object store.

    Returns:
        The folder, complete and durable.

    Raises:
        EngineError: a file has arrived damaged.
        OSError: it cannot be written; there may be no room.
    """
    folder = key.copy
    make_folder(folder.parent)
    with FileLock(copy_lock(folder)):
        for leftover in unfinished_in(folder) if folder.is_dir() else []:
            leftover.unlink(missing_ok=True)
        if key.is_in(folder):
            return folder
        for file in files:
            target = folder / file.name
            if target.exists() and file.name not in (key.split, MANIFEST):
                continue  # it was renamed to this name when it was whole
            make_folder(target.parent)
            write_file(target, lambda temporary, file=file: _fill(temporary, file, get))  # type: ignore[misc]
        sync_folder(folder)
    return folder


def _fill(target: Path, file: Published, get: Callable[[Chunk], bytes]) -> None:
    found = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in file.chunks:
            content = get(chunk)
            found.update(content)
            stream.write(content)
    if found.hexdigest() != file.sha256:
        raise EngineError(f"The file {file.name} of the prepared data arrived damaged: its SHA-256 differs.")


def scratch_folder() -> Path:
    """A folder for the files of a study on a node that does not see the study's own; those of dead processes
    go."""
    parent = make_folder(cache() / NODES / "studies")
    for other in parent.iterdir():
        process = other.name.split("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(other, ignore_errors=True)
    folder = parent / f"{os.getpid()}-{os.urandom(4).hex()}"
    return make_folder(folder)


@dataclass(slots=True)
class Outbox:
    """Files of trials that have been written on this node and are to go to the coordinator."""

    folder: Path
    """The scratch folder that stands for the study's."""
    _gone: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By name, time and size of what the coordinator has been given, or has given."""

    def take(self, trial: int) -> dict[str, bytes]:
        """What is new of a trial since the last time, by its name within the study."""
        found = {name: file.read_bytes() for name, file in self._new(trial)}
        checkpoints = sorted(
            (self.folder / trial_folder(trial)).glob(CHECKPOINTS), key=lambda file: file.stat().st_mtime_ns
        )
        for older in checkpoints[:-KEPT_CHECKPOINTS]:
            older.unlink(missing_ok=True)
        return found

    def put(self, name: str, content: bytes) -> None:
        """Keep a file that the coordinator has given."""
        target = self.folder / name
        make_folder(target.parent)
        write_file(target, lambda temporary: temporary.write_bytes(content))
        self._gone[name] = _stamp(target)

    def forget(self, trial: int) -> None:
        """Remove what there is of a trial that is over."""
        shutil.rmtree(self.folder / trial_folder(trial), ignore_errors=True)

    def _new(self, trial: int) -> Iterator[tuple[str, Path]]:
        for file in sorted((self.folder / trial_folder(trial)).rglob("*")):
            name = file.relative_to(self.folder).as_posix()
            with contextlib.suppress(FileNotFoundError):
                if (
                    not file.match(UNFINISHED)  # also what was begun just now
                    and file.is_file()
                    and self._gone.get(name) != _stamp(file)
                ):
                    self._gone[name] = _stamp(file)
                    yield name, file


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def make_token(study: StudyPaths) -> Path:
    """Leave a file in a study's folder by which whoever sees it recognises the folder."""
    folder = make_folder(study.workers)
    for earlier in folder.glob("seen-*"):  # of a coordinator that was killed
        earlier.unlink(missing_ok=True)
    token = folder / f"seen-{os.urandom(8).hex()}"
    token.touch()
    return token
