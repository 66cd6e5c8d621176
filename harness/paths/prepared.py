"""The files of the cache: prepared data sets, and what they are found by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

DATASETS = "datasets"
"""The folder of all prepared data sets, relative to the cache."""
INDEX = "index"
"""The folder of what data sets are found by, relative to `DATASETS`."""
MANIFEST = "manifest.json"
"""What a folder of prepared data holds."""
ARRAYS = "*.npy"
"""A pattern of the names of array files."""
ORIGINALS = "originals"
"""The folder of some of a data set's own files."""
CONTENTS = "index.json"
"""What a folder of originals or of reference images holds."""
SPLITS = "training-*.npz"
"""A pattern of what `split_name` names."""
FEATURES = "features"
"""The folder of all networks' features, relative to prepared data."""
REFERENCE_IMAGES = "images.npz"


@dataclass(frozen=True, slots=True)
class CachePaths:
    """Where prepared data is."""

    cache: Path

    @property
    def archives(self) -> Path:
        """Where archives are unpacked, by their content."""
        return self.cache / "archives"

    @property
    def datasets(self) -> Path:
        """A folder for each content, and what is below."""
        return self.cache / DATASETS

    @property
    def index(self) -> Path:
        """A file for each source that has been prepared, by what it looked like."""
        return self.datasets / INDEX

    @property
    def lock(self) -> Path:
        """Held by the process that prepares data."""
        return self.datasets / "preparing.lock"

    def entry(self, fingerprint: str) -> Path:
        """The file that names the data made from a source with this fingerprint."""
        return self.index / f"{fingerprint}.json"


def images_file(folder: Path, pool: str) -> Path:
    """The images of one pool, uint8 (N, H, W, C)."""
    return folder / f"{pool}_images.npy"


def labels_file(folder: Path, pool: str) -> Path:
    """The labels of one pool, int32 (N,); −1: not used."""
    return folder / f"{pool}_labels.npy"


def hashes_file(folder: Path, pool: str) -> Path:
    """Hashes of the pixels of one pool's images, uint64 (N,)."""
    return folder / f"{pool}_hashes.npy"


def near_duplicates_file(folder: Path) -> Path:
    """Which images of prepared data are nearly the same, by pool; it is there once somebody has asked."""
    return folder / "near_duplicates.npz"


def split_name(key: str) -> str:
    """The name of the file with the images that are trained on and validated with.

    Args:
        key: everything that decides which images they are.
    """
    # Earlier versions called it `split-*`, and kept the test images in it too.
    return f"training-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"


def sealed_name(split: str) -> str:
    """The name of the file with the test images that belong to a split, which stands beside the split's."""
    return f"sealed-{split.removeprefix('training-')}"


def features_folder(folder: Path, key: str, pool: str, view: int) -> Path:
    """One network's features of a pool's images in one view, named after all that decides them."""
    return view_folder(folder / FEATURES / hashlib.sha256(key.encode()).hexdigest()[:16], pool, view)


def networks_with_features(folder: Path) -> list[Path]:
    """A folder for each network of which prepared data has features."""
    return sorted((folder / FEATURES).glob("*"))


def view_folder(network: Path, pool: str, view: int) -> Path:
    """The features of a pool's images in one view, in a network's folder."""
    return network / f"{pool}-{view}"


def block_name(block: int, digest: str) -> str:
    """A file with the features of some neighbouring images, with what it is recognised by."""
    return f"{block:06d}-{digest}.npy"


def block_of(name: str) -> int | None:
    """The number of the block whose file has this name; None if it is not a block's."""
    number, dash, _ = name.partition("-")
    return int(number) if dash and number.isdecimal() else None


def copy_lock(folder: Path) -> Path:
    """Held by whoever copies prepared data to this folder."""
    return folder.with_name(f"{folder.name}.lock")


def block_lock(folder: Path, block: int) -> Path:
    """Held by whoever computes a block."""
    return folder / "locks" / f"{block:06d}"
