"""What an ensemble is made of, and what it gains."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A trial whose model takes part in an average."""

    trial: int
    picks: int
    """How often it was chosen: its weight is this number by the picks of all members."""
    model_sha256: str
    """Of its model's file, in hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """An ensemble compared with the best trial alone, on the same validation images.

    Differences are positive where the ensemble is better, whatever the direction of the objective.
    """

    trial: int
    """The best trial by its score."""
    score: float
    """Its score."""
    difference: float
    """Between the ensemble and this trial, on the images by which the ensemble was chosen."""
    held_out: float | None = None
    """The difference on images that had no say: ensemble and trial are chosen by a part of the images and
    compared on the others, in turn. None: there are too few images, or the objective is no mean over them."""
    low: float | None = None
    high: float | None = None
    """Where `held_out` lies over images, with a probability of 95 %; None as there, or if no image makes a
    difference."""
    only_ensemble: int | None = None
    """Images, so chosen and compared, that only the ensemble gets right."""
    only_trial: int | None = None
    """Images that only the trial gets right."""
    p: float | None = None
    """McNemar's: how probable it is, if both are equally good, that these numbers differ as much or more."""

    @property
    def is_shown(self) -> bool:
        """Whether the validation images show the ensemble to be better than the best trial alone."""
        return self.low is not None and self.low > 0
