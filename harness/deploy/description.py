"""What a bundle says of itself: `metadata.json` for programs, `README.md` for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.deploy.files_parity import FilesParity
from harness.deploy.formats.format import ExportFormat
from harness.deploy.parity import Parity
from harness.paths.bundle import CHECKSUMS, LABELS, METADATA
from harness.records import Dataset

SHOWN_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Artefact:
    """A model in a bundle, and how it did when it was tried."""

    format: ExportFormat
    pixels: Parity
    files: FilesParity | None
    """What was found with image files; None for a format that takes none."""

    @property
    def parity(self) -> list[Parity | FilesParity]:
        """Everything that the model was tried on."""
        return [self.pixels, *([self.files] if self.files else [])]

    @property
    def read(self) -> tuple[str, ...]:
        """The formats of image files that the model reads."""
        return self.files.read if self.files else ()

    def warnings(self) -> list[str]:
        """What whoever ships the model must know, in sentences."""
        return self.files.warnings() if self.files else []


def metadata(dataset: Dataset, provenance: dict[str, Any], artefacts: Sequence[Artefact]) -> dict[str, Any]:
    """The content of `metadata.json`: JSON-serialisable, with names that programs may rely on."""
    height, width, channels = dataset.image_shape
    described: dict[str, Any] = {
        "height": height,
        "width": width,
        "channels": channels,
        "color": "grey" if channels == 1 else "rgb",
        "dtype": "float32",
        "range": [0, 255],
        "note": "raw pixels; scaling is inside the model",
        "signatures": {entry: takes for one in artefacts for entry, takes in one.format.entries.items()},
    }
    for files in [one.files for one in artefacts if one.files][:1]:
        described["files"] = _files(dataset, files)
    return {
        "format": 1,
        "artefacts": {one.format.file: one.format.about for one in artefacts},
        "input": described,
        "output": {"kind": "probabilities", "classes": list(dataset.classes)},
        "dataset": {"name": dataset.name, "digest": dataset.digest, "counts": dataset.counts},
        "parity": [asdict(parity) for one in artefacts for parity in one.parity],
        "provenance": provenance,
    }


def _files(dataset: Dataset, files: FilesParity) -> dict[str, Any]:
    return {
        "read": files.read,
        "refused": files.refused,
        "refused_of_dataset": files.refused_kinds,
        "orientation": "EXIF and XMP orientation is applied",
        "transparency": "laid on white",
        "more_than_8_bits": _depth(dataset),
        "size": "the whole picture is scaled, whatever its proportions",
    }


def readme(dataset: Dataset, artefacts: Sequence[Artefact]) -> str:
    """The content of `README.md`."""
    height, width, channels = dataset.image_shape
    some = ", ".join(dataset.classes[:SHOWN_CLASSES])
    more = " …" if len(dataset.classes) > SHOWN_CLASSES else ""
    head = f"""# An image classifier

Classes: {some}{more}
Input: {height}×{width} pixels, {channels} channel{"s" * (channels > 1)}, values 0 to 255.
Output: probabilities.
"""
    models = "".join(f"- `{one.format.file}`: {one.format.about}\n" for one in artefacts)
    tail = f"""`{LABELS}` has the classes in the order of the outputs, `{METADATA}` where the model comes
from. Check the files with `sha256sum -c {CHECKSUMS}`.
"""
    usages = [one.format.usage(dataset, one.read) for one in artefacts]
    files = [_about_files(dataset, one.files) for one in artefacts if one.files][:1]
    notes = [f"**Note:** {warning}\n" for one in artefacts for warning in one.warnings()]
    return "\n".join([head, models, *usages, *files, *notes, tail])


def _about_files(dataset: Dataset, files: FilesParity) -> str:
    height, width, channels = dataset.image_shape
    return f"""A file becomes the pixels that training saw of it:

- turned as its EXIF or XMP orientation says,
- transparency laid on white,
- {_depth(dataset)},
- of animations the first picture,
- made {"grey" if channels == 1 else "red, green and blue"},
- the whole picture scaled to {height}×{width}, whatever its proportions.

Files of other formats ({", ".join(files.refused)} …), damaged ones and what is no image are refused, with an
error that says which one of the batch, and why.
"""


def _depth(dataset: Dataset) -> str:
    """What becomes of files with more than 8 bits a channel."""
    if dataset.pixel_range is None:
        return "of 16 bits a channel the upper 8 kept"
    low, high = dataset.pixel_range
    return f"in files of 16 bits a channel the values from {low:g} to {high:g} spread over 0 to 255"
