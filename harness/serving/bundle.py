"""Open an exported bundle that may come from anywhere: nothing is used before every file was checked.

Keras is not needed for it, so whoever only wants to know what a bundle is gets the answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.archive import SUFFIXES, archive_stem, unpack
from harness.deploy.checksums import verify_bundle
from harness.errors import DataError, ExportError, ServingError
from harness.paths import sha256_of, unpacked_bundle
from harness.paths.bundle import CHECKSUMS, KERAS_MODEL
from harness.serving.metadata import (
    classes_of,
    frames_of,
    image_shape_of,
    max_pixels_of,
    pixel_range_of,
    read_metadata,
)
from harness.serving.source import ModelSource

NAMED = 5
"""Files of a damaged bundle that are named."""


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """A bundle whose every file is the one that was exported."""

    folder: Path
    metadata: dict[str, Any]
    """What it says of itself: `input`, `output`, `provenance` and more, as docs/export.md has it."""
    source: ModelSource
    """Its Keras model."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the outputs."""
        return self.source.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels (1 or 3) of the images or frames that the model takes."""
        return self.source.image_shape


def is_bundle(place: Path) -> bool:
    """Whether there is something at the place that looks like a bundle, whole or not."""
    if place.is_file():
        return place.name.lower().endswith(SUFFIXES)
    return (place / CHECKSUMS).is_file()


def open_bundle(place: Path) -> OpenBundle:
    """Check every file of a bundle against its checksums, and read what it says of itself.

    Args:
        place: the bundle's folder, or a `.zip` (or `.tar`) of it, which is unpacked in the cache.

    Raises:
        ServingError: it is not there or no bundle; it was tampered with, lacks files, has others or links; or
            the archive holds what cannot be trusted. The sentence names the file.
    """
    folder = _unpacked(place) if place.is_file() else place
    if not folder.is_dir():
        raise ServingError(f"There is no bundle at {place}. Make one with `harness export`.")
    folder = folder.resolve()
    try:
        problems = verify_bundle(folder)
    except ExportError as error:
        raise ServingError(str(error)) from error
    except OSError as error:
        raise ServingError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if problems:
        more = len(problems) - NAMED
        raise ServingError(
            f"The bundle {place} is not as it was exported: {'; '.join(problems[:NAMED])}"
            f"{f'; and {more:,} more' if more > 0 else ''}. It is not used. Export it again, or fetch it "
            "again from where it came."
        )
    metadata = read_metadata(folder)
    model = folder / KERAS_MODEL
    if not model.is_file():
        raise ServingError(f"The bundle {place} has no {KERAS_MODEL}, by which files are classified.")
    source = ModelSource(
        name=archive_stem(place) if place.is_file() else folder.name,
        file=model,
        sha256=sha256_of(model),
        classes=classes_of(folder, metadata),
        image_shape=image_shape_of(folder, metadata),
        pixel_range=pixel_range_of(folder, metadata),
        max_pixels=max_pixels_of(metadata),
        frames=frames_of(folder, metadata),
    )
    return OpenBundle(folder, metadata, source)


def _unpacked(archive: Path) -> Path:
    """The bundle's folder in what an archive was unpacked to, now or before; raises ServingError."""
    if not archive.name.lower().endswith(SUFFIXES):
        raise ServingError(
            f"{archive} is neither the folder of a bundle nor an archive of one, such as a .zip."
        )
    try:
        target = unpacked_bundle(sha256_of(archive))
        if not target.is_dir():
            unpack(archive, target)
    except DataError as error:
        raise ServingError(str(error)) from error
    except OSError as error:
        raise ServingError(f"The archive {archive} cannot be read: {error.strerror}.") from error
    # What is packed is either the folder or what is in it.
    inside = [target, *(entry for entry in sorted(target.iterdir()) if entry.is_dir())]
    found = [folder for folder in inside if (folder / CHECKSUMS).is_file()]
    if len(found) != 1 or (found[0] != target and len(list(target.iterdir())) > 1):
        raise ServingError(
            f"The archive {archive} does not hold one bundle: it has no {CHECKSUMS} of its own."
        )
    return found[0]
