"""The cache of prepared data: a folder of arrays for each content digest, complete or not there.

<cache>/datasets/<name>-<digest>/manifest.json            what is inside
                                 <pool>_images.npy        uint8 (N, H, W, C)
                                 <pool>_labels.npy        int32 (N,); −1: not used
                                 <pool>_hashes.npy        uint64 (N,) of the pixels
                                 split-<key>.npz          see harness.data.split
<cache>/datasets/index/<fingerprint>.json                 names, sizes, times → folder
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.errors import DataError, HarnessError
from harness.paths import make_folder, write_folder, write_text

VERSION = 1
"""Raised whenever the same source would be decoded to other arrays."""


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


class Store:
    """The data sets under one cache folder."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "datasets"
        self._index = self._folder / "index"
        try:
            make_folder(self._folder)
            make_folder(self._index)
        except HarnessError as error:
            raise DataError(f"{error} Or set HARNESS_CACHE to a folder that you can write to.") from error

    def find(self, fingerprint: str) -> Path | None:
        """The complete folder made from a source that looked like this, if there is one."""
        try:
            name = json.loads((self._index / f"{fingerprint}.json").read_text(encoding="utf-8"))["folder"]
        except (OSError, ValueError, KeyError):
            return None
        folder = self._folder / str(name)
        return folder if (folder / "manifest.json").is_file() else None

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
            manifest = fill(folder)
            (folder / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")

        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40].strip("-") or "data"
        unsorted = self._folder / f"new-{fingerprint[:12]}"
        try:
            shutil.rmtree(unsorted, ignore_errors=True)
            write_folder(unsorted, write)
            assert manifest is not None
            target = self._folder / f"{slug}-{manifest.digest[:12]}"
            if target.exists():
                shutil.rmtree(unsorted)
            else:
                unsorted.replace(target)
            write_text(self._index / f"{fingerprint}.json", json.dumps({"folder": target.name}))
        except OSError as error:
            raise DataError(
                f"The prepared data could not be written to {self._folder}: {error.strerror or error}. Make "
                "room there, or set HARNESS_CACHE to another folder."
            ) from error
        return target


def read_manifest(folder: Path) -> Manifest:
    """What the folder holds; raises DataError if its manifest is damaged."""
    file = folder / "manifest.json"
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Manifest(**values)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"The prepared data in {folder} is damaged ({error}). Delete that folder; it will be made again."
        ) from error
