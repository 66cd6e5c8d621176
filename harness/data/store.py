"""The cache of prepared data: a folder of arrays for each content digest, complete or not there.

<cache>/datasets/<name>-<digest>/     see `harness.paths.prepared`
<cache>/datasets/index/               what a source looked like → the folder, and what is the source's own
<cache>/archives/                     unpacked, by content
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from harness.data.archive import archive_stem, unpack
from harness.data.manifest import Manifest, damaged_file, write_manifest
from harness.errors import DataError, HarnessError
from harness.paths import (
    UNFINISHED,
    make_folder,
    sha256_of,
    sync_folder,
    sync_tree,
    temporary_beside,
    write_text,
)
from harness.paths.prepared import MANIFEST, CachePaths


@dataclass(frozen=True, slots=True)
class Prepared:
    """Prepared data, and what is its source's own: another source may have the same content."""

    folder: Path
    name: str
    warnings: tuple[str, ...]
    """Sentences about how the source was read."""
    pixel_range: tuple[float, float] | None
    """Values of the source that became 0 and 255; None: 8-bit pixels as they are."""


class Store:
    """The data sets under one cache folder."""

    def __init__(self, cache: Path) -> None:
        """Make the folders; raises DataError if that cannot be done."""
        self.notes: list[str] = []
        """Sentences worth telling the user."""
        self._paths = CachePaths(cache)
        try:
            make_folder(self._paths.datasets)
            make_folder(self._paths.index)
        except HarnessError as error:
            raise DataError(f"{error} Or set HARNESS_CACHE to a folder that you can write to.") from error

    def find(self, fingerprint: str) -> Prepared | None:
        """The whole data made from a source that looked like this, if there is any.

        Damaged data is removed, and a sentence added to `notes`.
        """
        try:
            entry = json.loads(self._paths.entry(fingerprint).read_text(encoding="utf-8"))
            pixel_range = entry["pixel_range"] and (
                float(entry["pixel_range"][0]),
                float(entry["pixel_range"][1]),
            )
            folder = self._paths.datasets / str(entry["folder"])
            found = Prepared(folder, str(entry["name"]), tuple(entry["warnings"]), pixel_range)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None
        if not (found.folder / MANIFEST).is_file():
            return None
        damaged = damaged_file(found.folder)
        if damaged is None:
            return found
        self.notes.append(
            f"The prepared data in {found.folder} was damaged ({damaged}) and has been made again."
        )
        shutil.rmtree(found.folder, ignore_errors=True)
        return None

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """One process prepares at a time; what a dead one left unfinished is removed."""
        with FileLock(self._paths.lock):
            for leftover in self._paths.datasets.glob(UNFINISHED):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    @contextmanager
    def fresh_folder(self) -> Iterator[Path]:
        """A folder for new arrays, which is gone afterwards unless it has been kept.

        Raises:
            DataError: the disk is full or not writable.
        """
        folder = temporary_beside(self._paths.datasets / "new")
        try:
            folder.mkdir()
            yield folder
        except OSError as error:
            raise DataError(
                f"The prepared data could not be written to {self._paths.datasets}: "
                f"{error.strerror or error}. Make room there, or set HARNESS_CACHE to another folder."
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, folder: Path, manifest: Manifest, name: str, fingerprints: tuple[str, ...]) -> Prepared:
        """Keep a fresh folder under the digest of its content, unless that is there already.

        Args:
            folder: from `fresh_folder`.
            manifest: what is in it.
            name: of the source.
            fingerprints: how the source looked, by which it is found again.
        """
        manifest = write_manifest(folder, manifest)
        sync_tree(folder)
        short = manifest.digest[:12]
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40].strip("-") or "data"
        # Another source may have the same content.
        target = next(self._paths.datasets.glob(f"*-{short}"), self._paths.datasets / f"{slug}-{short}")
        if not target.exists() or damaged_file(target) is not None:
            shutil.rmtree(target, ignore_errors=True)
            folder.replace(target)
            sync_folder(target.parent)
        low_high = manifest.pixel_range and (manifest.pixel_range[0], manifest.pixel_range[1])
        return self.note(Prepared(target, name, tuple(manifest.warnings), low_high or None), fingerprints)

    def note(self, found: Prepared, fingerprints: tuple[str, ...]) -> Prepared:
        """Remember that sources that look like this have that data."""
        entry = asdict(found) | {"folder": found.folder.name}
        for fingerprint in fingerprints:
            write_text(self._paths.entry(fingerprint), json.dumps(entry))
        return found

    def unpacked(self, archive: Path) -> Path:
        """An archive's folder, which carries its name, unpacked once for each content.

        Raises:
            DataError: the archive is damaged, or holds what cannot be trusted.
        """
        folder = self._paths.archives / sha256_of(archive)[:16] / archive_stem(archive)
        with self.preparing():
            if not folder.exists():
                unpack(archive, folder)
        return folder
