"""What a data set is once it has been found: files to decode, or arrays to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

Pool = Literal["train", "validation", "test"]
POOLS: tuple[Pool, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image on disk."""

    path: Path
    name: str
    """Path relative to the source, with `/`."""
    label: int
    pool: Pool
    size: int
    """Bytes."""
    modified: int
    """When its content was last written: nanoseconds since 1970."""
    changed: int
    """When anything of it was last changed, as only the system can say: nanoseconds since 1970."""
    inode: int
    group: str = ""
    """What a list says it belongs to; empty: nothing."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """A source made of image files."""

    name: str
    classes: tuple[str, ...]
    files: tuple[ImageFile, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageArrays:
    """A source made of arrays: by pool, images uint8 (N, H, W, C) and labels int32 (N,)."""

    name: str
    classes: tuple[str, ...]
    pools: dict[Pool, tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]]
    warnings: tuple[str, ...] = ()
    pixel_range: tuple[float, float] | None = None
    """Values that became 0 and 255; None: 8-bit pixels as they are."""


@dataclass(frozen=True, slots=True)
class ArraySource:
    """A source made of arrays that have not been read yet."""

    name: str
    key: str
    """A text that is another one whenever the arrays would be, as they are prepared."""
    read: Callable[[], ImageArrays]
    """Raises DataError if the arrays cannot be read, or do not fit together."""
    warnings: tuple[str, ...] = ()


Source: TypeAlias = ImageFiles | ArraySource
