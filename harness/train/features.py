"""The features that trials train on in the place of pixels: taken from the cache, or computed for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.arrays import Arrays, Images, ImagesOnDisk, Part, load
from harness.data.feature_store import Features, FeatureStore, Keep, Rows, keep_now
from harness.paths.prepared import features_folder
from harness.records import Dataset, Params
from harness.train.body import BATCH, FrozenBody
from harness.train.pulses import Beat

WAIT_SECONDS = 0.2
"""How often it is looked whether others are done with the blocks that they compute."""


@dataclass(frozen=True, slots=True)
class FeaturesOnDisk:
    """Features of a part's images in one or several views, read when asked for, as float32 (n, F).

    Row v·N + i is the view v of image i.
    """

    stores: tuple[FeatureStore, ...]
    """One for each view."""
    rows: Rows
    """Positions of the N images in their pool, int64 (N,)."""

    def __len__(self) -> int:
        return len(self.stores) * len(self.rows)

    def __getitem__(self, wanted: slice | npt.NDArray[np.integer[Any]]) -> Features:
        chosen = np.arange(len(self))[wanted]
        views, images = np.divmod(chosen, len(self.rows))
        found = np.empty((len(chosen), self.stores[0].width), np.float32)
        for view, store in enumerate(self.stores):
            own = views == view
            found[own] = store.read(self.rows[images[own]])
        return found

    @property
    def image_bytes(self) -> int:
        """What one row takes in memory."""
        return 4 * self.stores[0].width

    @property
    def nbytes(self) -> int:
        """What all of them would take in memory."""
        return len(self) * self.image_bytes


@dataclass(slots=True)
class _Missing:
    """Images of one pool in one view whose features are wanted."""

    store: FeatureStore
    view: int
    pixels: Images
    """Of the whole pool, uint8 (M, H, W, C)."""
    rows: Rows
    """Positions in the pool, int64 (N,)."""

    @property
    def number(self) -> int:
        """How many of them are missing now."""
        return sum(len(lacking) for _, lacking in self.store.missing(self.rows))


@dataclass(slots=True)
class _Tally:
    """Images whose features are missing, each view counted."""

    total: int
    """At the beginning."""
    left: int
    """Now, as far as this process knows."""
    computed: int = 0
    """By this process."""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return 1 - self.left / max(1, self.total)


def cached_features(
    arrays: Arrays, body: FrozenBody, views: int, beat: Beat, keep: Keep = keep_now
) -> tuple[FeaturesOnDisk, FeaturesOnDisk, int]:
    """The features of the training and the validation images; what is missing is computed, with others.

    Test images are left out.

    Args:
        arrays: the data set.
        body: makes features of pixels.
        views: of every training image; validation images are seen as they are.
        beat: called after every batch with the share that is done; what it raises ends the computing.
        keep: decides what happens where the disk has no room for features.

    Returns:
        Features of the training images in all views, those of the validation images, and the number of
        images, each view counted, that this process has computed.

    Raises:
        DataError: features cannot be written.
    """
    wanted: dict[tuple[str, int], _Missing] = {}
    found = []
    parts: tuple[tuple[Part, int], ...] = (("train", views), ("validation", 1))
    for part, number in parts:
        images, pool = arrays.on_disk(part)[0], arrays.pool_of(part)
        for view in range(number):
            folder = features_folder(arrays.folder, body.key, pool, view)
            one = wanted.setdefault(
                (pool, view),
                _Missing(FeatureStore(folder, body.features, keep), view, images.pool, np.zeros(0, np.int64)),
            )
            one.rows = np.union1d(one.rows, images.indices)
        stores = tuple(wanted[pool, view].store for view in range(number))
        found.append(FeaturesOnDisk(stores, images.indices))
    left = sum(one.number for one in wanted.values())
    tally = _Tally(left, left)
    while tally.left:
        for one in wanted.values():
            _fill(one, body, tally, beat)
        tally.left = sum(one.number for one in wanted.values())
        beat(tally.share)
        if tally.left:  # others are computing it
            time.sleep(WAIT_SECONDS)
    return found[0], found[1], tally.computed


def fill(params: Params, dataset: dict[str, Any]) -> dict[str, float]:
    """Put the features of the training and the validation images into the cache, as they are.

    Args:
        params: complete parameters of a family with a body.
        dataset: the fields of a `harness.records.Dataset`.

    Returns:
        How many images were `computed`: the others were there.

    Raises:
        HarnessError: the weights are not to be had, or features cannot be written.
    """
    found = Dataset(**dataset)
    body = FrozenBody(params, found.example_shape)
    _, _, computed = cached_features(load(found), body, 1, lambda _: None)
    return {"computed": float(computed)}


def features_of(images: Images | ImagesOnDisk, body: FrozenBody, beat: Beat) -> Features:
    """Features of images that are not in the cache and are not put there, float32 (N, F)."""
    found = np.empty((len(images), body.features), np.float32)
    for start in range(0, len(images), BATCH):
        some = slice(start, min(len(images), start + BATCH))
        found[some] = body.compute(images[some], np.arange(some.start, some.stop))
        beat(some.stop / len(images))
    return found


def _fill(wanted: _Missing, body: FrozenBody, tally: _Tally, beat: Beat) -> None:
    """Compute what is missing and nobody else computes."""
    store = wanted.store
    for block, lacking in store.missing(wanted.rows):
        with store.claimed(block) as mine:
            if not mine:
                continue
            missing = store.missing_in(block, wanted.rows)
            tally.left -= len(lacking) - len(missing)
            found = []
            for start in range(0, len(missing), BATCH):
                some = missing[start : start + BATCH]
                found.append(body.compute(wanted.pixels[some], some, wanted.view))
                tally.computed, tally.left = tally.computed + len(some), tally.left - len(some)
                beat(tally.share)
            if found:
                store.add(block, missing, np.concatenate(found))
