"""Images that are nearly the same: compressed again, scaled, made brighter, the next shot of a burst.

A perceptual hash finds candidates among all pairs; their pixels decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.data.arrays import Images
from harness.records import Progress

if TYPE_CHECKING:
    from PIL import Image as PillowImage

DISTANCE = 6
"""Bits of 64 in which the hashes of two candidates differ at most."""
CORRELATION = 0.985
"""Of the grey pixels of two images, at `SIDE` by `SIDE`, from which they are nearly the same."""
SIDE = 32
"""Pixels that the hash is made from; smaller images have too little in them to be told apart by it."""
MOST_IMAGES = 200_000
"""Above, there are too many pairs to compare."""
MOST_PAIRS = 500_000
"""That are found."""
ROWS = 64
"""Images that are compared with all others at a time."""
CHUNK = 4096
"""Candidates whose pixels are compared at a time."""
HASHING, COMPARING = "hashing images", "comparing images"

Hashes: TypeAlias = npt.NDArray[np.uint64]
Positions: TypeAlias = npt.NDArray[np.int64]
Correlations: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = Callable[[int], Images]
"""Gives the image at a position, uint8 (H, W, C)."""


class NearPairs(NamedTuple):
    """Pairs of images that are nearly the same."""

    pairs: Positions
    """Positions of the two, int64 (P, 2), the smaller one first."""
    correlation: Correlations
    """Of their pixels, float32 (P,)."""
    complete: bool
    """Whether there are no more than these."""


def why_not(image_shape: tuple[int, int, int], images: int) -> str:
    """Why near-duplicates cannot be looked for among so many images of this shape; empty if they can."""
    height, width, _ = image_shape
    if min(height, width) < SIDE:
        return (
            f"images of {height}×{width} pixels have too little in them to be told apart by a perceptual hash"
        )
    return f"{images:,} images have too many pairs" if images > MOST_IMAGES else ""


def near_pairs(pixels: Pixels, count: int, progress: Progress) -> NearPairs:
    """All pairs of images that are nearly the same.

    It takes a fraction of a millisecond for each image and a few nanoseconds for each pair.

    Args:
        pixels: gives the images, for which `why_not` says nothing.
        count: of images.
        progress: told how far it is.
    """
    hashes = _perceptual_hashes(pixels, range(count), count, progress)
    grey = _GreyImages(pixels, count)
    pairs, correlation = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    total = 0
    for candidates in _close_pairs(hashes, progress):
        found = grey.correlation(candidates)
        near = found >= CORRELATION
        pairs.append(candidates[near])
        correlation.append(found[near])
        total += int(near.sum())
        if total > MOST_PAIRS:
            break
    return NearPairs(
        np.concatenate(pairs)[:MOST_PAIRS], np.concatenate(correlation)[:MOST_PAIRS], total <= MOST_PAIRS
    )


def are_near(pixels: Pixels, pairs: Positions) -> npt.NDArray[np.bool_]:
    """Which of some pairs of images, int64 (P, 2), are nearly the same: bool (P,)."""
    every, where = np.unique(pairs, return_inverse=True)
    where = where.reshape(pairs.shape)
    hashes = _perceptual_hashes(pixels, every.tolist(), len(every), lambda *_: None)
    close = np.bitwise_count(hashes[where[:, 0]] ^ hashes[where[:, 1]]) <= DISTANCE
    grey = _GreyImages(lambda at: pixels(int(every[at])), len(every))
    near: npt.NDArray[np.bool_] = np.zeros(len(pairs), bool)
    near[close] = grey.correlation(where[close]) >= CORRELATION
    return near


def components(pairs: Positions, count: int) -> Positions:
    """Numbers that are equal where images are joined by a chain of pairs, int64 (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)


def _perceptual_hashes(pixels: Pixels, positions: Iterable[int], count: int, progress: Progress) -> Hashes:
    """The pHash of images, uint64 (n,)."""
    import imagehash

    found = np.empty(count, np.uint64)
    for at, position in enumerate(positions):
        bits = np.packbits(imagehash.phash(_picture(pixels(position))).hash.ravel())
        found[at] = int.from_bytes(bits.tobytes(), "big")
        if (at + 1) % 1000 == 0 or at + 1 == count:
            progress(HASHING, at + 1, count)
    return found


def _close_pairs(hashes: Hashes, progress: Progress) -> Iterator[Positions]:
    """Pairs of hashes that differ in few bits, some of them at a time: positions, int64 (pairs, 2), the
    smaller one first."""
    for start in range(0, len(hashes), ROWS):
        rows = hashes[start : start + ROWS]
        close = np.bitwise_count(rows[:, None] ^ hashes[None, start:]) <= DISTANCE
        one, other = np.nonzero(close)
        later = other > one
        yield np.stack([one[later], other[later]], axis=1) + start
        progress(COMPARING, min(start + ROWS, len(hashes)), len(hashes))


class _GreyImages:
    """Images in grey at `SIDE` by `SIDE`, made when they are first asked for."""

    def __init__(self, pixels: Pixels, count: int) -> None:
        self._pixels = pixels
        self._made = np.zeros(count, bool)
        self._grey = np.zeros((count, SIDE * SIDE), np.uint8)

    def correlation(self, pairs: Positions) -> Correlations:
        """Of the pixels of the images at some pairs of positions, float32 (P,); 0 if one of them is blank."""
        found = np.zeros(len(pairs), np.float32)
        for start in range(0, len(pairs), CHUNK):
            some = pairs[start : start + CHUNK]
            one, other = (self._scaled(side) for side in some.T)
            found[start : start + CHUNK] = np.mean(one * other, axis=1)
        return found

    def _scaled(self, positions: Positions) -> npt.NDArray[np.float32]:
        """Of mean 0 and deviation 1, float32 (n, SIDE²); all 0 where an image is blank."""
        for position in np.unique(positions[~self._made[positions]]).tolist():
            self._grey[position] = _small(self._pixels(position))
            self._made[position] = True
        grey = self._grey[positions].astype(np.float32)
        grey -= grey.mean(axis=1, keepdims=True)
        deviation = grey.std(axis=1, keepdims=True)
        scaled: npt.NDArray[np.float32] = np.divide(
            grey, deviation, out=np.zeros_like(grey), where=deviation > 0
        )
        return scaled


def _small(pixels: Images) -> npt.NDArray[np.uint8]:
    """An image in grey at `SIDE` by `SIDE`, uint8 (SIDE²,)."""
    from PIL import Image

    grey = _picture(pixels).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), np.uint8).ravel()


def _picture(pixels: Images) -> PillowImage.Image:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.asarray(pixels))
