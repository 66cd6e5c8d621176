"""What is decided for an experiment file, each with its reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_NAME = 40
SHORTEST_SIDE = 32
"""Pixels of the shorter side below which networks have nothing left to look at."""


LARGEST_SIDE = 1024
"""Pixels of a side that `dataset.image_size` allows at most."""


BY_ORDER = (
    "Whether it is the order of the frames that tells the classes apart is not to be seen from the files, so "
    "networks that read it are tried beside the mean over the frames."
)
"""Why both ways to classify clips are searched."""
NO_MIRRORS = (
    "Mirrored clips are left out: where the direction of a movement decides the class, they mean another one."
)
"""Why clips are not mirrored."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One key of the experiment file."""

    key: str
    """Its path, such as `training.epochs`."""
    value: Any
    """Builtins, as YAML holds them."""
    reason: str = ""
    """Sentences; empty if it goes without saying."""


def experiment_name(name: str) -> str:
    """A data set's name as an experiment may be called: `My Flowers (2)` becomes `my-flowers-2`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9._-]+", "-", plain)).lstrip("._-")
    return slug[:LONGEST_NAME].rstrip("._-") or "images"


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A size with the same proportions whose longer side is `side`, the shorter one at least 2 pixels.

    Args:
        size: height and width in pixels.
        side: of the result, in pixels.
    """
    scale = side / max(size)
    return max(2, round(size[0] * scale)), max(2, round(size[1] * scale))


def start_of(space: Sequence[Decision], values: dict[str, Any]) -> dict[str, Any]:
    """A configuration to begin with: of these values those that the space searches over.

    Args:
        space: decisions with keys such as `space.depth`.
        values: by parameter.
    """
    searched = {one.key.removeprefix("space.") for one in space if isinstance(one.value, list | dict)}
    automatic = {one.key.removeprefix("space.") for one in space if one.value == "auto"}
    return {name: value for name, value in values.items() if name in searched | automatic}


def in_words(seconds: float) -> str:
    """About how long something takes: `12 s`, `4 minutes`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60):,} minutes" if seconds < 6000 else f"{round(seconds / 3600):,} hours"
