"""Images that are nearly the same: compressed again, scaled, made brighter, the next shot of a burst.

A perceptual hash finds candidates among all pairs; their pixels decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.audit.facts import Facts
from harness.audit.finding import Finding
from harness.audit.identical import same_pixels
from harness.audit.kind import Check
from harness.audit.pairs import Pair, say_pairs
from harness.records import Progress

DISTANCE = 6
"""Bits of 64 in which the hashes of two candidates differ at most."""
CORRELATION = 0.985
"""Of the grey pixels of two images, at `SIDE` by `SIDE`, from which they are nearly the same."""
SIDE = 32
"""Pixels that the hash is made from; smaller images have too little in them to be told apart by it."""
MOST_IMAGES = 200_000
"""Above, there are too many pairs to compare."""
MOST_CANDIDATES = 200_000
ROWS = 64
"""Images that are compared with all others at a time."""
LABEL = "comparing images"

Hashes = npt.NDArray[np.uint64]
Sketch = npt.NDArray[np.float32]


def perceptual_hashes(facts: Facts, numbers: Sequence[int], progress: Progress) -> Hashes:
    """The pHash of images as a sweep sees them, uint64 (n,)."""
    import imagehash
    from PIL import Image

    found = np.empty(len(numbers), np.uint64)
    for at, number in enumerate(numbers):
        pixels = facts.pixels(number)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.asarray(pixels))
        bits = np.packbits(imagehash.phash(picture).hash.ravel())
        found[at] = int.from_bytes(bits.tobytes(), "big")
        if (at + 1) % 1000 == 0 or at + 1 == len(numbers):
            progress(LABEL, at + 1, len(numbers))
    return found


def close_pairs(hashes: Hashes, distance: int = DISTANCE) -> tuple[npt.NDArray[np.int64], bool]:
    """Pairs of hashes that differ in few bits.

    Args:
        hashes: uint64 (n,).
        distance: bits in which they differ at most.

    Returns:
        Their positions, int64 (pairs, 2), the smaller one first; and whether these are all.
    """
    found: list[npt.NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    total = 0
    for start in range(0, len(hashes), ROWS):
        rows = hashes[start : start + ROWS]
        differing = np.bitwise_count(rows[:, None] ^ hashes[None, start:])
        one, other = np.nonzero(differing <= distance)
        later = other > one
        found.append(np.stack([one[later], other[later]], axis=1) + start)
        total += len(found[-1])
        if total > MOST_CANDIDATES:
            return np.concatenate(found)[:MOST_CANDIDATES], False
    return np.concatenate(found), True


def are_near(facts: Facts, one: int, other: int) -> bool:
    """Whether two images are nearly the same by their hashes and their pixels."""
    hashes = perceptual_hashes(facts, (one, other), lambda *_: None)
    close = int(np.bitwise_count(hashes[0] ^ hashes[1])) <= DISTANCE
    return close and float(np.mean(_sketch(facts, one) * _sketch(facts, other))) >= CORRELATION


def _find(facts: Facts, progress: Progress) -> list[Finding]:
    again = {number for numbers in same_pixels(facts) for number in numbers[1:]}
    numbers = [number for number in facts.readable if number not in again]
    reason = _why_not(facts, len(numbers))
    if reason:
        return [Finding(severity="note", sentence=f"Near-duplicates were not looked for: {reason}.")]
    candidates, complete = close_pairs(perceptual_hashes(facts, numbers, progress))
    sketches: dict[int, Sketch] = {}
    pairs = []
    for one, other in candidates.tolist():
        pair = numbers[one], numbers[other]
        for number in pair:
            if number not in sketches:
                sketches[number] = _sketch(facts, number)
        likeness = float(np.mean(sketches[pair[0]] * sketches[pair[1]]))
        if likeness >= CORRELATION:
            pairs.append(Pair(*pair, likeness))
    return say_pairs(facts, pairs, "nearly the same", "correlation of the pixels", complete=complete)


def _why_not(facts: Facts, images: int) -> str:
    height, width, _ = facts.image_shape
    if min(height, width) < SIDE:
        return (
            f"images of {height}×{width} pixels have too little in them to be told apart by a perceptual hash"
        )
    if images > MOST_IMAGES:
        return f"{images:,} images have too many pairs"
    return ""


def _sketch(facts: Facts, number: int) -> Sketch:
    """The image in grey at `SIDE` by `SIDE`, float32, with mean 0 and deviation 1; all 0 if it is blank."""
    from PIL import Image

    pixels = np.asarray(facts.pixels(number))
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("L")
    grey = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    deviation = float(grey.std())
    found: Sketch = (grey - grey.mean()) / deviation if deviation > 0 else np.zeros_like(grey)
    return found


CHECK = Check(about="near-duplicates by perceptual hash", find=_find)
