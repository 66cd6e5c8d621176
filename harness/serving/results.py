"""What was found for one file: the most probable classes, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

UNSURE = "unsure"
"""What stands for the class where its probability is below the threshold."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A class, and how probable it is."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What was found for one frame of a video."""

    frame: int
    """Its number in the video, from 0."""
    seconds: float
    """When it appears."""
    guess: Guess
    smoothed: Guess
    """With the frames around it taken into account; the name may be `unsure`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a video in which the smoothed class stays the same."""

    start: float
    """Seconds."""
    end: float
    """Seconds."""
    guess: Guess
    """The class, or `unsure`, and the mean of its smoothed probability."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was found for one file."""

    file: str
    guesses: tuple[Guess, ...] = ()
    """The most probable classes, best first; of a video, by the mean over its frames. Empty if nothing could
    be classified."""
    unsure: bool = False
    """Whether the best one is below the threshold."""
    kind: str = "image"
    """What the file was taken for: `image`, `video` or `clip`."""
    label: str | None = None
    """The class by the folder that the file lies in; None if that is not known."""
    error: str = ""
    """What is wrong with the file, in a sentence."""
    frames: tuple[FrameResult, ...] = ()
    """Of a video."""
    segments: tuple[Segment, ...] = ()
    """Of a video."""

    @property
    def answer(self) -> str | None:
        """The most probable class, or `unsure`; None if nothing could be classified."""
        if not self.guesses:
            return None
        return UNSURE if self.unsure else self.guesses[0].name

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        found: dict[str, Any] = {
            "file": self.file,
            "class": self.answer,
            "probability": self.guesses[0].probability if self.guesses else None,
            "unsure": self.unsure,
            "top": [{"class": one.name, "probability": one.probability} for one in self.guesses],
            "label": self.label,
            "error": self.error or None,
        }
        if self.frames:
            found["frames"] = [
                {
                    "frame": one.frame,
                    "seconds": one.seconds,
                    "class": one.guess.name,
                    "probability": one.guess.probability,
                    "smoothed_class": one.smoothed.name,
                    "smoothed_probability": one.smoothed.probability,
                }
                for one in self.frames
            ]
            found["segments"] = [
                {"start": one.start, "end": one.end}
                | {"class": one.guess.name, "probability": one.guess.probability}
                for one in self.segments
            ]
        return found


def best_of(probabilities: npt.NDArray[Any], classes: tuple[str, ...], top: int) -> tuple[Guess, ...]:
    """The most probable classes, best first.

    Args:
        probabilities: of the K classes, (K,).
        classes: their names.
        top: how many are wanted; no more than there are.
    """
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(Guess(classes[index], float(probabilities[index])) for index in order)
