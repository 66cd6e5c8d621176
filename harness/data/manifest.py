"""What a folder of prepared data says of itself, and whether it still holds that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.paths import sha256_of
from harness.paths.prepared import ARRAYS, MANIFEST

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
    """Height, width, channels; of clips, before them the number of frames."""
    pools: dict[str, int]
    """Images by pool, unused ones included."""
    warnings: list[str]
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of every array file."""
    pixel_range: list[float] | tuple[float, float] | None = None
    """Values of the source that became 0 and 255; None: 8-bit pixels as they are."""


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write what the folder holds, with the SHA-256 of every array file, which is in what is returned."""
    hashes = {file.name: sha256_of(file) for file in sorted(folder.glob(ARRAYS))}
    complete = replace(manifest, files=hashes)
    values = asdict(complete)
    sealed = {"sha256": _seal(values), "manifest": values}
    (folder / MANIFEST).write_text(json.dumps(sealed, indent=1), encoding="utf-8")
    return complete


def read_manifest(folder: Path) -> Manifest:
    """What the folder holds; raises DataError if its manifest is damaged."""
    file = folder / MANIFEST
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
        return MANIFEST
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


def _seal(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
