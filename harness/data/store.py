"""The cache of prepared data: a folder of arrays for each content digest, complete or not there.

<cache>/datasets/<name>-<digest>/manifest.json            what is inside
                                 <pool>_images.npy        uint8 (N, H, W, C)
                                 <pool>_labels.npy        int32 (N,); −1: not used
                                 <pool>_hashes.npy        uint64 (N,) of the pixels
                                 split-<key>.npz          see harness.data.split
                                 originals/               see harness.data.originals
<cache>/datasets/index/<fingerprint>.json                 names, sizes, times → folder
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.errors import DataError, HarnessError
from harness.paths import make_folder, sha256_of, write_folder, write_text

VERSION = 1
"""Raised whenever the same source would be decoded to other arrays."""
LARGEST_CHECKED = 4 * 2**30
"""Bytes of prepared data whose content is checked before every use; a GiB takes about a second."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder of prepared data holds."""

    version: int
    name: str
    digest: str
    classes: list[str]
    image_shape: list[int]
    """Height, width, channels."""
    pools: dict[str, int]
    """Images by pool, unused ones included."""
    warnings: list[str]
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of every array file."""


class Store:
    """The data sets under one cache folder."""

    def __init__(self, cache: Path) -> None:
        self.archives = cache / "archives"
        """Where archives are unpacked, by their content."""
        self.notes: list[str] = []
        """Sentences worth telling the user."""
        self._folder = cache / "datasets"
        self._index = self._folder / "index"
        try:
            make_folder(self._folder)
            make_folder(self._index)
        except HarnessError as error:
            raise DataError(f"{error} Or set HARNESS_CACHE to a folder that you can write to.") from error

    def find(self, fingerprint: str) -> Path | None:
        """The whole folder made from a source that looked like this, if there is one.

        A damaged one is removed, and a sentence added to `notes`.
        """
        try:
            name = json.loads((self._index / f"{fingerprint}.json").read_text(encoding="utf-8"))["folder"]
        except (OSError, ValueError, KeyError):
            return None
        folder = self._folder / str(name)
        if not (folder / "manifest.json").is_file():
            return None
        damaged = damaged_file(folder)
        if damaged is None:
            return folder
        self.notes.append(f"The prepared data in {folder} was damaged ({damaged}) and has been made again.")
        shutil.rmtree(folder, ignore_errors=True)
        return None

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """One process prepares at a time; what a dead one left unfinished is removed."""
        with FileLock(self._folder / "preparing.lock"):
            for leftover in self._folder.glob(".tmp-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def add(self, fingerprint: str, name: str, fill: Callable[[Path], Manifest]) -> Path:
        """Let `fill(folder)` write the arrays; keep them under their digest unless they are there.

        Raises:
            DataError: the disk is full or not writable.
        """
        manifest: Manifest | None = None

        def write(folder: Path) -> None:
            nonlocal manifest
            filled = fill(folder)
            hashes = {file.name: sha256_of(file) for file in sorted(folder.glob("*.npy"))}
            manifest = replace(filled, files=hashes)
            values = asdict(manifest)
            sealed = {"sha256": _seal(values), "manifest": values}
            (folder / "manifest.json").write_text(json.dumps(sealed, indent=1), encoding="utf-8")

        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40].strip("-") or "data"
        unsorted = self._folder / f"new-{fingerprint[:12]}"
        try:
            shutil.rmtree(unsorted, ignore_errors=True)
            write_folder(unsorted, write)
            assert manifest is not None
            target = self._folder / f"{slug}-{manifest.digest[:12]}"
            if target.exists() and damaged_file(target) is None:
                shutil.rmtree(unsorted)
            else:
                shutil.rmtree(target, ignore_errors=True)
                unsorted.replace(target)
            write_text(self._index / f"{fingerprint}.json", json.dumps({"folder": target.name}))
        except OSError as error:
            raise DataError(
                f"The prepared data could not be written to {self._folder}: {error.strerror or error}. Make "
                "room there, or set HARNESS_CACHE to another folder."
            ) from error
        return target


def _seal(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """What the folder holds; raises DataError if its manifest is damaged."""
    file = folder / "manifest.json"
    try:
        sealed: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if _seal(sealed["manifest"]) != sealed["sha256"]:
            raise ValueError("its checksum does not match")
        return Manifest(**sealed["manifest"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"The prepared data in {folder} is damaged ({error}). Delete that folder; it will be made again."
        ) from error


def damaged_file(folder: Path) -> str | None:
    """The name of an array file whose content is not what was written; None if all is well.

    Beyond `LARGEST_CHECKED` bytes in all, only the sizes of the arrays are checked.
    """
    try:
        manifest = read_manifest(folder)
    except DataError:
        return "manifest.json"
    files = {name: folder / name for name in manifest.files}
    for name, file in files.items():
        if not file.is_file():
            return name
    if sum(file.stat().st_size for file in files.values()) > LARGEST_CHECKED:
        return next((name for name, file in files.items() if not _opens(file)), None)
    return next((name for name, file in files.items() if sha256_of(file) != manifest.files[name]), None)


def _opens(file: Path) -> bool:
    """Whether the file is as long as its header says."""
    try:
        np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return False
    return True
