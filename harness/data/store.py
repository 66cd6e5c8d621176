"""The cache of prepared data: a folder of arrays for each content digest, complete or not there.

<cache>/datasets/<name>-<digest>/manifest.json            what is inside
                                 <pool>_images.npy        uint8 (N, H, W, C)
                                 <pool>_labels.npy        int32 (N,); −1: not used
                                 <pool>_hashes.npy        uint64 (N,) of the pixels
                                 split-<key>.npz          see harness.data.split
                                 originals/               see harness.data.originals
<cache>/datasets/index/<fingerprint>.json                 names, sizes, times → folder, and what is the
source's own
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
    pixel_range: list[float] | tuple[float, float] | None = None
    """Values of the source that became 0 and 255; None: 8-bit pixels as they are."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Prepared data, and what is its source's own: another source may have the same content."""

    folder: Path
    name: str
    warnings: tuple[str, ...]
    """Sentences about how the source was read."""
    pixel_range: tuple[float, float] | None


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

    def find(self, fingerprint: str) -> Prepared | None:
        """The whole data made from a source that looked like this, if there is any.

        Damaged data is removed, and a sentence added to `notes`.
        """
        try:
            entry = json.loads((self._index / f"{fingerprint}.json").read_text(encoding="utf-8"))
            pixel_range = entry["pixel_range"] and (
                float(entry["pixel_range"][0]),
                float(entry["pixel_range"][1]),
            )
            found = Prepared(
                self._folder / str(entry["folder"]), str(entry["name"]), tuple(entry["warnings"]), pixel_range
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None
        if not (found.folder / "manifest.json").is_file():
            return None
        damaged = damaged_file(found.folder)
        if damaged is None:
            return found
        self.notes.append(
            f"The prepared data in {found.folder} was damaged ({damaged}) and has been made again."
        )
        shutil.rmtree(found.folder, ignore_errors=True)
        return None

    def note(self, fingerprint: str, found: Prepared) -> Prepared:
        """Remember that a source that looks like this has that data."""
        entry = asdict(found) | {"folder": found.folder.name}
        write_text(self._index / f"{fingerprint}.json", json.dumps(entry))
        return found

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """One process prepares at a time; what a dead one left unfinished is removed."""
        with FileLock(self._folder / "preparing.lock"):
            for leftover in self._folder.glob(".tmp-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def add(self, fingerprint: str, name: str, fill: Callable[[Path], Manifest]) -> Prepared:
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
            short = manifest.digest[:12]
            # Another source may have the same content.
            target = next(self._folder.glob(f"*-{short}"), self._folder / f"{slug}-{short}")
            if target.exists() and damaged_file(target) is None:
                shutil.rmtree(unsorted)
            else:
                shutil.rmtree(target, ignore_errors=True)
                unsorted.replace(target)
            low_high = manifest.pixel_range and (manifest.pixel_range[0], manifest.pixel_range[1])
            return self.note(fingerprint, Prepared(target, name, tuple(manifest.warnings), low_high or None))
        except OSError as error:
            raise DataError(
                f"The prepared data could not be written to {self._folder}: {error.strerror or error}. Make "
                "room there, or set HARNESS_CACHE to another folder."
            ) from error


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
