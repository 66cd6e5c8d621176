"""What an image is described by, so that images can be compared and labels be doubted.

Images for testing have none: nothing may learn or predict on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.audit.facts import Facts
from harness.data.feature_store import Features, FeatureStore, width_of
from harness.paths.prepared import networks_with_features, view_folder
from harness.records import Progress

LABEL = "describing images"
SKETCH = 12
"""Pixels of the sides that images are made smaller to."""
CELLS, DIRECTIONS = 4, 8
"""Edges are counted by direction in so many by so many parts of an image."""


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Features of the images that are trained on or validated with."""

    numbers: npt.NDArray[np.int64]
    """The images, int64 (N,)."""
    values: Features
    """float32 (N, F)."""


def known_images(facts: Facts) -> npt.NDArray[np.int64]:
    """Numbers of the images in the training and the validation split, int64 (N,)."""
    return np.array(
        [number for number, image in enumerate(facts.images) if image.part in ("train", "validation")],
        np.int64,
    )


def cached_features(facts: Facts) -> ImageFeatures | None:
    """Features of a pretrained network that a sweep, or an audit, has computed; None if there are none.

    Of several networks it is the one with most features. Images as they are count, not changed views of them.
    """
    if facts.dataset is None:
        return None
    numbers = known_images(facts)
    complete = list(_complete(Path(facts.dataset.folder), facts, numbers))
    if not complete:
        return None
    stores = max(complete, key=lambda stores: next(iter(stores.values())).width)
    values = np.empty((len(numbers), next(iter(stores.values())).width), np.float32)
    for pool, (at, rows) in _rows(facts, numbers).items():
        values[at] = stores[pool].read(rows)
    return ImageFeatures(numbers, values)


def pixel_features(facts: Facts, progress: Progress) -> ImageFeatures:
    """Simple features of the pixels: the image made small, and where edges run in which direction."""
    from PIL import Image

    numbers = known_images(facts)
    found = []
    for done, number in enumerate(numbers.tolist(), 1):
        pixels = np.asarray(facts.pixels(number))
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        side = min(SKETCH, *pixels.shape[:2])
        small = np.asarray(picture.resize((side, side), Image.Resampling.BOX), np.float32) / 255
        found.append(np.concatenate([small.ravel(), _edges(np.asarray(picture.convert("L"), np.float32))]))
        if done % 1000 == 0 or done == len(numbers):
            progress(LABEL, done, len(numbers))
    return ImageFeatures(numbers, np.array(found, np.float32).reshape(len(numbers), -1))


def _edges(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The strength of edges by part of the image and by direction, float32 (parts · directions,)."""
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = ((np.arctan2(down, right) / np.pi % 1) * DIRECTIONS).astype(int) % DIRECTIONS
    rows = np.arange(grey.shape[0]) * CELLS // grey.shape[0]
    columns = np.arange(grey.shape[1]) * CELLS // grey.shape[1]
    cell = (rows[:, None] * CELLS + columns[None]) * DIRECTIONS + direction
    counted = np.bincount(cell.ravel(), strength.ravel(), CELLS * CELLS * DIRECTIONS)
    return np.asarray(counted / (counted.sum() or 1), np.float32)


def _complete(
    folder: Path, facts: Facts, numbers: npt.NDArray[np.int64]
) -> Iterator[dict[str, FeatureStore]]:
    """By pool, the features of each network that has them of all the images."""
    rows = _rows(facts, numbers)
    for network in networks_with_features(folder):
        widths = {pool: width_of(view_folder(network, pool, 0)) for pool in rows}
        stores = {
            pool: FeatureStore(view_folder(network, pool, 0), width)
            for pool, width in widths.items()
            if width
        }
        if len(stores) == len(rows) > 0 and not any(
            next(store.missing(rows[pool][1]), None) for pool, store in stores.items()
        ):
            yield stores


def _rows(
    facts: Facts, numbers: npt.NDArray[np.int64]
) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """By pool, positions among `numbers`, and the images' rows in the pool."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for at, number in enumerate(numbers.tolist()):
        image = facts.images[number]
        positions, rows = found.setdefault(image.pool, ([], []))
        positions.append(at)
        rows.append(image.row)
    return {pool: (np.array(at, np.int64), np.array(rows, np.int64)) for pool, (at, rows) in found.items()}
