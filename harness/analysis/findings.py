"""What may be found out about the scores of a study, and of which objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.metrics import METRICS, VALIDATION
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.metrics.metric import Metric


@dataclass(frozen=True, slots=True)
class Noise:
    """What the validation images say of the trials of a study."""

    best: int
    """The number of the best trial."""
    trials: tuple[int, ...]
    """Complete trials whose predictions are stored, the best one among them, by number; with folds, trials
    that have all of them."""
    complete: int
    """Complete trials with a score, or those with all folds; those without stored predictions included."""
    pruned: int
    """Trials that were pruned by their scores on the same images."""
    images: int
    """Validation images; with folds, all that are dealt out to them."""
    folds: bool
    """Whether scores are means over folds, so that each image was predicted by those not trained on it."""
    resamples: int
    """Draws of images."""
    luck: float
    """By how much the best score is probably too good, at least 0, in the metric's unit."""
    in_points: bool
    """Whether the metric is a share, so that 0.01 of it are a point."""
    tied: frozenset[int]
    """Trials that cannot be told from the best one; it is not one of them."""
    needed: dict[int, int | None]
    """By trial, except the best: how many images would tell it from the best one; None where the two do not
    differ."""
    noun: str = "image"
    """What one of the images is called: it may be a clip."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing can be said."""

    reason: str
    """A sentence; empty where nobody would expect anything."""


def images_that_judge(dataset: Dataset) -> int:
    """How many images trials are judged by: validation images, or with folds all that are dealt out."""
    return dataset.counts.get("train" if dataset.folds else "validation", 0)


def is_by_image(objective: str) -> bool:
    """Whether an objective is a mean of values by image, at least to first order."""
    metric = metric_of(objective)
    return metric is not None and metric.by_image is not None


def metric_of(objective: str) -> Metric | None:
    """The metric of the validation split that an objective is; None for what is measured of a network."""
    return METRICS.get(objective.removeprefix(VALIDATION))
