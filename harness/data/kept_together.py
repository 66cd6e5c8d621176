"""Near-duplicates of prepared data, which may be asked to stay on one side of every split."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.groups import Links
from harness.data.near_duplicates import MOST_PAIRS, components, near_pairs, why_not
from harness.data.sentences import counted
from harness.data.split import Indices
from harness.errors import DataError
from harness.paths import write_file
from harness.paths.prepared import hashes_file, images_file, near_duplicates_file
from harness.records import Progress

SETTING = "dataset.keep_together"


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Which images of prepared data are nearly the same."""

    links: dict[str, Links]
    """By pool, numbers that are equal where a chain of near-duplicates joins images; −1: with none."""
    said: str
    """A sentence about them."""

    @property
    def found(self) -> bool:
        """Whether there are any."""
        return any(bool((own >= 0).any()) for own in self.links.values())


def near_duplicates(folder: Path, used: Mapping[str, Indices], progress: Progress) -> NearDuplicates:
    """The near-duplicates among prepared images; they are kept with these, and not looked for again.

    Args:
        folder: of the prepared data.
        used: by pool, positions of the images that can be read.
        progress: told while images are compared.

    Raises:
        DataError: the images are too small, or too many, to tell near-duplicates.
    """
    links = _kept(folder, used)
    if links is None:
        links = _found(folder, used, progress)
        content = io.BytesIO()
        np.savez(content, **links)  # type: ignore[arg-type]
        write_file(near_duplicates_file(folder), lambda file: file.write_bytes(content.getvalue()))
    return NearDuplicates(links, _sentence(links))


def _kept(folder: Path, used: Mapping[str, Indices]) -> dict[str, Links] | None:
    """What was found before; None if nothing was, or it is damaged."""
    try:
        content = io.BytesIO(near_duplicates_file(folder).read_bytes())
        with np.load(content, allow_pickle=False) as stored:
            return {pool: stored[pool] for pool in used}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _found(folder: Path, used: Mapping[str, Indices], progress: Progress) -> dict[str, Links]:
    """By pool, the numbers of what is joined; of identical images one is compared, for all of them."""
    images = {pool: np.load(images_file(folder, pool), mmap_mode="r") for pool in used}
    hashes = {pool: np.load(hashes_file(folder, pool)) for pool in used}
    places = [(pool, row) for pool, rows in used.items() for row in rows.tolist()]
    every = np.concatenate([hashes[pool][rows] for pool, rows in used.items()])
    _, first, picture = np.unique(every, return_index=True, return_inverse=True)
    height, width, channels = next(iter(images.values())).shape[1:]
    reason = why_not((height, width, channels), len(first))
    if reason:
        raise DataError(
            f"{SETTING} is near_duplicates, but {reason}. Leave it out, or name what belongs together with "
            "dataset.groups."
        )
    compared = [places[at] for at in first.tolist()]
    pairs, _, complete = near_pairs(lambda at: images[compared[at][0]][compared[at][1]], len(first), progress)
    if not complete:
        raise DataError(
            f"More than {MOST_PAIRS:,} pairs of images are nearly the same, too many to keep them together "
            f"({SETTING}). Leave it out, and name what belongs together with dataset.groups."
        )
    joined = components(pairs, len(first))
    joined[np.bincount(joined, minlength=1)[joined] < 2] = -1
    links: dict[str, Links] = {pool: np.full(len(hashes[pool]), -1, np.int64) for pool in used}
    ends = np.cumsum([len(rows) for rows in used.values()])[:-1]
    for (pool, rows), own in zip(used.items(), np.split(joined[picture], ends), strict=True):
        links[pool][rows] = own
    return links


def _sentence(links: Mapping[str, Links]) -> str:
    every = np.concatenate(list(links.values()))
    together = every[every >= 0]
    if not len(together):
        return f"No images are nearly the same ({SETTING})."
    groups, sizes = np.unique(together, return_counts=True)
    largest = f", the largest of {int(sizes.max()):,}" if len(groups) > 1 else ""
    return (
        f"{counted(len(together), 'image is', 'images are')} nearly the same as others ({SETTING}): "
        f"{counted(len(groups), 'group')}{largest}. Each stays on one side of a split."
    )
