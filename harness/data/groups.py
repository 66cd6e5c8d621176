"""Groups of images that belong together, such as those of one patient: they stay on one side of a split."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.data.sentences import counted
from harness.data.source import POOLS, ImageFiles, Pool, Source
from harness.data.split import Indices
from harness.errors import DataError
from harness.experiment.dataset_config import BY_COLUMN, UNGROUPED, DatasetConfig

Units = npt.NDArray[np.uint64]
Links = npt.NDArray[np.int64]
"""Numbers that are equal where images belong together, int64 (N,); −1: with none."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a data set's images."""

    names: dict[Pool, list[str]]
    """By pool, the group of each image, in the order of the arrays; empty for one that belongs to none."""
    said: str
    """A sentence about them."""


def groups_of(source: Source, config: DatasetConfig) -> Groups | None:
    """The groups of a source's images, by a column of its list or by the names of its files.

    Args:
        source: the images; arrays have no groups.
        config: where the groups are named.

    Returns:
        None if there are none.

    Raises:
        DataError: the pattern fits no name, or a column is named as well.
    """
    if not isinstance(source, ImageFiles) or config.groups == UNGROUPED:
        return None
    if config.groups == BY_COLUMN:
        names = [file.group for file in source.files]
        where = "the list's column"
    else:
        if config.columns.group is not None:
            raise DataError(
                f"Groups are named twice, by dataset.columns.group ({config.columns.group}) and by the "
                f"pattern dataset.groups ({config.groups}). Give one of them."
            )
        pattern = re.compile(config.groups)
        names = [_named_by(pattern, file.name) for file in source.files]
        where = f"dataset.groups ({config.groups})"
        if source.files and not any(names):
            raise DataError(
                f"The pattern {where} fits none of the {counted(len(names), 'image')} of {source.name}; the "
                f"first one's path is {source.files[0].name!r}. It is a regular expression that is looked "
                "for in the path below the data set's folder, and its part in parentheses is the group."
            )
    if not any(names):
        return None
    pools = [file.pool for file in source.files]
    by_pool: dict[Pool, list[str]] = {
        pool: [name for name, own in zip(names, pools, strict=True) if own == pool] for pool in POOLS
    }
    return Groups(by_pool, _sentence(names, where))


def units(
    hashes: Mapping[str, Units],
    names: Mapping[Pool, Sequence[str]] | None,
    used: Mapping[str, Indices],
    near: Mapping[str, Links] | None = None,
) -> dict[str, Units]:
    """What must stay together: images of one group, and those that are identical to one of them, and so on.

    Args:
        hashes: of the pixels of the images, by pool, uint64 (N,).
        names: of their groups, by pool; empty for an image of a group of its own. None: there are no groups.
        used: positions of the images that can be read, by pool; the others join nothing.
        near: by pool, numbers that are equal for near-duplicates; None if those need not stay together.

    Returns:
        By pool, a number for each image, uint64 (N,): equal where two must stay together.
    """
    every = np.concatenate([hashes[pool] for pool in hashes])
    readable = np.concatenate([np.isin(np.arange(len(hashes[pool])), used[pool]) for pool in hashes])
    _, alike = np.unique(every, return_inverse=True)
    links: list[Links] = []
    if names is not None:
        named = [name for pool in hashes for name in names[pool]]  # type: ignore[index]
        known: dict[str, int] = {}
        links.append(
            np.array([known.setdefault(name, len(known)) if name else -1 for name in named], np.int64)
        )
    if near is not None:
        links.append(np.concatenate([near[pool] for pool in hashes]))
    number = _joined(alike.astype(np.int64), [np.where(readable, link, -1) for link in links])
    ends = np.cumsum([len(hashes[pool]) for pool in hashes])[:-1]
    return dict(zip(hashes, np.split(number.astype(np.uint64), ends), strict=True))


def digest_of_units(found: Mapping[str, Units]) -> str:
    """A short hash of what must stay together."""
    digest = hashlib.sha256()
    for pool in sorted(found):
        digest.update(pool.encode() + found[pool].astype("<u8").tobytes())
    return digest.hexdigest()[:16]


def _joined(alike: Links, links: Sequence[Links]) -> Links:
    """Numbers of the connected components, where images are joined by equal numbers in any of the arrays.

    Args:
        alike: int64 (N,).
        links: each int64 (N,); −1 joins nothing.
    """
    found = alike.copy()
    while True:
        # The smallest number of each group, then the smallest of what is alike, until nothing changes.
        joined = found.copy()
        for link in links:
            inside = link >= 0
            joined[inside] = _lowest(joined[inside], link[inside])
        joined = _lowest(joined, alike)
        if np.array_equal(joined, found):
            return found
        found = joined


def _lowest(values: Links, groups: Links) -> Links:
    """For each element the smallest value of its group, (n,)."""
    lowest = np.full(groups.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, groups, values)
    return lowest[groups]


def _named_by(pattern: re.Pattern[str], name: str) -> str:
    found = pattern.search(name)
    if found is None:
        return ""
    parts = [part for part in found.groups() if part is not None] if pattern.groups else [found.group()]
    return "/".join(parts)


def _sentence(names: Sequence[str], where: str) -> str:
    sizes = Counter(name for name in names if name)
    fewest, most = min(sizes.values()), max(sizes.values())
    size = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    alone = sum(not name for name in names)
    rest = f"; {counted(alone, 'image')} of no group" if alone else ""
    return (
        f"Groups by {where}: {counted(len(sizes), 'group')} of {size} {'image' if most == 1 else 'images'}"
        f"{rest}. Each stays on one side of a split."
    )
