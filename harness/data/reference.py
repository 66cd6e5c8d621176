"""The few images that copies of a study's models are compared with or quantised by, kept with the study.

So a model can be exported when the prepared data and the images themselves are gone.

<study>/reference/index.json     which data set and which images, SHA-256 of the pixels
                  images.npz     `images` uint8 (n, H, W, C), `labels` int32 (n,), `indices` int64 (n,),
                                 `split`, `training` uint8 (m, H, W, C)
                  originals/     see `harness.data.originals`
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.arrays import Images, Labels, Part, load, part_named
from harness.data.originals import Originals, read_originals
from harness.paths import sha256_of, write_folder
from harness.paths.prepared import CONTENTS, ORIGINALS, REFERENCE_IMAGES
from harness.records import Dataset

MOST = 64
"""Reference images."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a study keeps of its data set."""

    split: Part
    """`validation`, or `train` where nothing was held out."""
    indices: npt.NDArray[np.int64]
    """Positions in that split, int64 (n,)."""
    images: Images
    """uint8 (n, H, W, C)."""
    originals: Originals | None
    """Files of the data set; None where it has none, or they are not known."""
    labels: Labels | None = None
    """True classes of the images, int32 (n,); None: an earlier version kept them without."""
    training: Images | None = None
    """A few images to quantise a model by, which it was trained on, uint8 (m, H, W, C); None: an earlier
    version kept none."""


def reference_split(validation_images: int) -> Part:
    """The split that reference images come from."""
    return "validation" if validation_images else "train"


def reference_rows(images: int) -> npt.NDArray[np.int64]:
    """At most 64 positions, spread evenly over `images` images: int64 (n,)."""
    return np.linspace(0, images - 1, min(MOST, images)).astype(np.int64)


def keep_reference(folder: Path, dataset: Dataset) -> None:
    """Write `folder`, all or nothing, unless it holds these images already.

    Raises:
        OSError: it cannot be written.
        DataError: the prepared data is gone.
    """
    there = read_reference(folder) if _is_of(folder, dataset) else None
    if there is not None and there.training is not None:
        return
    split = reference_split(dataset.counts["validation"])
    reference = reference_of(dataset, split, reference_rows(dataset.counts[split]))

    assert reference.labels is not None
    assert reference.training is not None
    arrays: dict[str, npt.NDArray[Any]] = {
        "images": reference.images,
        "labels": reference.labels,
        "indices": reference.indices,
        "training": reference.training,
    }

    def write(fresh: Path) -> None:
        with (fresh / REFERENCE_IMAGES).open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, split=np.str_(reference.split), **arrays)
        if reference.originals is not None:
            shutil.copytree(Path(dataset.folder) / ORIGINALS, fresh / ORIGINALS)
        index = _names(dataset) | {"sha256": sha256_of(fresh / REFERENCE_IMAGES)}
        (fresh / CONTENTS).write_text(json.dumps(index, indent=1), encoding="utf-8")

    shutil.rmtree(folder, ignore_errors=True)
    write_folder(folder, write)


def read_reference(folder: Path) -> Reference | None:
    """What `keep_reference` wrote; None if there is nothing, or it is damaged."""
    try:
        if sha256_of(folder / REFERENCE_IMAGES) != _index(folder).get("sha256"):
            return None
        with np.load(folder / REFERENCE_IMAGES, allow_pickle=False) as stored:
            return Reference(
                part_named(str(stored["split"])),
                stored["indices"],
                stored["images"],
                read_originals(folder / ORIGINALS),
                stored.get("labels"),
                stored.get("training"),
            )
    except (OSError, ValueError, KeyError):
        return None


def reference_of(dataset: Dataset, split: Part, indices: npt.NDArray[np.int64]) -> Reference:
    """Reference images from the prepared data, which a study may keep; raises DataError if that is gone."""
    arrays = load(dataset)
    images, labels = arrays.on_disk(split)
    training, _ = arrays.on_disk("train")
    return Reference(
        split,
        indices,
        images[indices],
        read_originals(Path(dataset.folder) / ORIGINALS),
        labels[indices],
        training[reference_rows(len(training))],
    )


def _names(dataset: Dataset) -> dict[str, str]:
    return {"digest": dataset.digest, "split": dataset.split}


def _is_of(folder: Path, dataset: Dataset) -> bool:
    return _names(dataset).items() <= _index(folder).items()


def _index(folder: Path) -> dict[str, Any]:
    """What the folder says of itself; nothing if it says nothing sensible."""
    try:
        index = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}
