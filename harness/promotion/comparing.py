"""Two models compared image by image, on images that neither was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.analysis.bootstrap import LEVEL, Interval
from harness.analysis.paired import McNemar, accuracy_difference, mcnemar
from harness.data.arrays import ImagesOnDisk
from harness.data.held_out import HeldOut, held_out_images, held_out_of_both
from harness.errors import PromotionError
from harness.paths import cache
from harness.promotion.candidate import Candidate
from harness.serving.predictor import predictor_of
from harness.serving.source import ModelSource

BATCH = 256
"""Images that are predicted at a time."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two models did on the same images."""

    images: int
    """Different images, which neither of the two was trained on."""
    challenger: float
    """The accuracy of the model that wants to be champion."""
    champion: float
    """That of the present champion."""
    interval: Interval
    """Where the difference lies, with a probability of 95 %."""
    noun: str
    """What one of them is called."""
    test: McNemar
    """Of the images that only the challenger, and only the champion gets right."""

    @property
    def difference(self) -> float:
        """By how much the challenger's accuracy is above the champion's."""
        return self.challenger - self.champion

    @property
    def is_better(self) -> bool:
        """Whether the challenger is better by more than noise."""
        return self.interval.low > 0 and self.test.p < 1 - LEVEL

    def sentence(self) -> str:
        """The comparison in words and numbers."""
        low, high = self.interval.low, self.interval.high
        return (
            f"On {self.images:,} {self.noun}s that neither was trained on: {self.challenger:.4f} against the "
            f"champion's {self.champion:.4f}, a difference of {self.difference:+.4f} ({low:+.4f} to "
            f"{high:+.4f} at 95 %); {self.test.only_first} only this one gets right, "
            f"{self.test.only_second} only the champion (McNemar's exact test: p = {self.test.p:.2g})."
        )


def compare(challenger: Candidate, champion: Candidate, tell: Callable[[str], None]) -> Comparison:
    """Have both models classify the validation images that their studies have in common.

    Args:
        challenger: the model that wants to be champion.
        champion: the present one.
        tell: told what is done, in a few words.

    Raises:
        PromotionError: there are no such images, or the two models do not answer the same question.
        ServingError: a model file was changed, or cannot be loaded.
        DataError: the prepared data is damaged.
    """
    one, other = challenger.source, champion.source
    if one.classes != other.classes:
        raise PromotionError(
            f"{one.name} and {other.name} do not answer the same question: their classes differ "
            f"({len(one.classes)} and {len(other.classes)}, in their order)."
        )
    if one.example_shape != other.example_shape:
        raise PromotionError(
            f"{one.name} takes {one.noun}s of {_size(one)} and {other.name} of {_size(other)}, so there are "
            f"no {one.noun}s that both were validated with."
        )
    images, labels = held_out_of_both(_held_out(challenger), _held_out(champion))
    if not len(images):
        raise PromotionError(
            f"{one.name} and {other.name} have no validation {one.noun} in common: each was trained on the "
            f"{one.noun}s that the other was validated with, or on other data."
        )
    rights = []
    for source in (one, other):
        tell(f"{source.name} classifies {len(images):,} {source.noun}s …")
        rights.append(_classes(source, images) == labels)
    first, second = rights
    return Comparison(
        images=len(images),
        noun=one.noun,
        challenger=float(first.mean()),
        champion=float(second.mean()),
        interval=accuracy_difference(first, second),
        test=mcnemar(first, second),
    )


def _size(source: ModelSource) -> str:
    return "×".join(map(str, source.example_shape))


def _held_out(candidate: Candidate) -> HeldOut:
    """The validation images of the study that has trained a model; raises PromotionError."""
    name, noun, digests = candidate.source.name, candidate.source.noun, candidate.split_digests
    if not digests:
        raise PromotionError(
            f"It is not known which {noun}s {name} was trained on: it keeps no digests of them, as models of "
            "early versions do."
        )
    found = held_out_images(cache(), digests)
    if found is None:
        raise PromotionError(
            f"The {noun}s that {name} was validated with are not among the prepared data in {cache()}. "
            "Prepare them again with the data set at hand (harness resume "
            f"{candidate.tags.get('harness.study', 'STUDY')}), or set HARNESS_CACHE to where they are."
        )
    if not len(found.labels):
        raise PromotionError(
            f"No {noun}s were held out of the training of {name}, as with folds, whose final model is "
            "trained on all of them."
        )
    return found


def _classes(source: ModelSource, images: ImagesOnDisk) -> npt.NDArray[np.int64]:
    """The most probable class of each image, (n,)."""
    model = predictor_of(source)
    parts = [
        model.predict(images[start : start + BATCH]).argmax(axis=1) for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(parts)
