"""What a metric is: a number that says how well one split was classified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is known of one split after it was predicted, counted once for all metrics.

    Of a class that the split does not hold nothing is known; `held` leaves it out.
    """

    logits: npt.NDArray[np.float32]
    """(N, K), N ≥ 1."""
    labels: npt.NDArray[np.int32]
    """(N,)."""
    predicted: npt.NDArray[np.int64]
    """The most probable class of each image, (N,)."""
    confusion: npt.NDArray[np.int64]
    """(K, K), rows are true classes."""
    precision: Floats
    """By class, (K,); 0 where nothing was predicted."""
    recall: Floats
    """By class, (K,); 0 where there is no image."""
    f1: Floats
    """By class, (K,)."""
    held: npt.NDArray[np.bool_]
    """By class, (K,): whether the split has images of it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    about: str
    """A sentence for people."""
    maximize: bool
    """Whether larger is better."""
    of: Callable[[Predictions], float]
    in_tables: bool = True
    """Leaderboards have a column for it."""
    by_image: Callable[[Predictions], Floats] | None = None
    """One value for each image, (N,), whose mean is the metric. With other images in other numbers the metric
    is the mean of their values: exactly where it is a mean over images, like accuracy, else to first order.
    None: such values are not known, and nothing is said of how much of a score is chance."""
