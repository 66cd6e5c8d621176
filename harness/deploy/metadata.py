"""What a bundle says of itself to programs: `metadata.yaml`.

Its first keys are those that Ultralytics' and timm's exports have: task, names, imgsz, channels,
interpolation, mean, std, …
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import harness
from harness.analysis.bootstrap import share_interval
from harness.deploy.artefact import Artefact
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats.format import ModelToExport
from harness.deploy.trained import TrainedModel
from harness.records import Dataset, Evaluation

FORMAT = 2
"""The version of the keys. 1: `metadata.json`."""
INTERPOLATION = "bilinear"
"""How image files of other sizes are scaled, as timm words it."""
CROP = "squash"
"""timm's word for scaling the whole picture whatever its proportions."""


def metadata(
    source: TrainedModel, model: ModelToExport, artefacts: Sequence[Artefact], versions: dict[str, str]
) -> dict[str, Any]:
    """The content of `metadata.yaml`: builtins only, with names that programs may rely on.

    Args:
        source: what was exported.
        model: the same, ready to be written; its data set is described.
        artefacts: the models in the bundle.
        versions: of the libraries that they were tried with, by distribution.
    """
    dataset, provenance = model.dataset, source.provenance
    height, width, channels = dataset.image_shape
    kind = "A clip" if dataset.frames else "An image"
    params = provenance.get("params", {})
    return {
        "format": FORMAT,
        "description": f"{kind} classifier of {len(dataset.classes)} classes",
        "author": "harness",
        "version": harness.__version__,
        "date": provenance.get("trained"),
        "license": source.licences,
        "task": "classify",
        "architecture": "ensemble" if "members" in provenance else params.get("model", params.get("family")),
        "num_classes": len(dataset.classes),
        "names": dict(enumerate(dataset.classes)),
        "imgsz": [height, width],
        "channels": channels,
        "interpolation": INTERPOLATION,
        "crop_mode": CROP,
        "mean": [0.0] * channels,
        "std": [1.0] * channels,
        "artefacts": {one.format.file: one.format.about for one in artefacts},
        "input": _input(dataset, model.max_pixels, artefacts),
        "output": {"kind": "probabilities", "classes": list(dataset.classes)},
        "dataset": {"name": dataset.name, "digest": dataset.digest, "counts": dataset.counts}
        | ({"split_digests": dataset.split_digests} if dataset.split_digests else {}),
        "metrics": {one.split: figures_of(one) for one in source.evaluations},
        "formats": [asdict(one.figures) for one in artefacts],
        "parity": [asdict(parity) for one in artefacts for parity in one.parity],
        "requirements": versions,
        "provenance": provenance,
    }


def _input(dataset: Dataset, max_pixels: int, artefacts: Sequence[Artefact]) -> dict[str, Any]:
    height, width, channels = dataset.image_shape
    described: dict[str, Any] = {
        "height": height,
        "width": width,
        "channels": channels,
        "color": "grey" if channels == 1 else "rgb",
        "dtype": "float32",
        "range": [0, 255],
        "note": "raw pixels; scaling is inside the model",
        "pixel_range": list(dataset.pixel_range) if dataset.pixel_range else None,
        "max_pixels": max_pixels,
        "signatures": {
            entry: takes
            for one in artefacts
            for entries in (one.format.entries, {} if dataset.frames else one.format.file_entries)
            for entry, takes in entries.items()
        },
    }
    if dataset.frames:
        described |= _frames(dataset)
    for files in [one.files for one in artefacts if one.files][:1]:
        described["files"] = _files(dataset, files)
    return described


def _frames(dataset: Dataset) -> dict[str, Any]:
    return {
        "frames": dataset.frames,
        "layout": ["batch", "frames", "height", "width", "channels"],
        "sampling": f"the frames that are seen in the middle of each of {dataset.frames} equal parts of a "
        "clip's time",
        "bytes": "no signature takes the bytes of files: there is no serving_bytes for clips",
    }


def _files(dataset: Dataset, files: FilesParity) -> dict[str, Any]:
    return {
        "read": list(files.read),
        "refused": list(files.refused),
        "refused_of_dataset": files.refused_kinds,
        "orientation": "EXIF and XMP orientation is applied",
        "transparency": "laid on white",
        "more_than_8_bits": depth(dataset),
        "size": "the whole picture is scaled, whatever its proportions",
    }


def depth(dataset: Dataset) -> str:
    """What becomes of files with more than 8 bits a channel."""
    if dataset.pixel_range is None:
        return "of 16 bits a channel the upper 8 kept"
    low, high = dataset.pixel_range
    return f"in files of 16 bits a channel the values from {low:g} to {high:g} spread over 0 to 255"


def figures_of(evaluation: Evaluation) -> dict[str, Any]:
    """The metrics of a model on a split, the interval of its accuracy and its confusion matrix."""
    hits, images = hits_of(evaluation)
    interval = share_interval(hits, images)
    return {
        "images": images,
        **evaluation.metrics,
        "accuracy_interval_95": [interval.low, interval.high] if interval else None,
        "confusion": evaluation.confusion,
    }


def hits_of(evaluation: Evaluation) -> tuple[int, int]:
    """How many images got their class, and how many there are."""
    hits = sum(row[index] for index, row in enumerate(evaluation.confusion))
    return hits, sum(map(sum, evaluation.confusion))
