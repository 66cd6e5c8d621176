"""A video's frames, one after the other, to segments of time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from harness.serving.predictor import Probabilities
from harness.serving.results import UNSURE, FrameResult, Guess, Segment


def smoothed(probabilities: Probabilities, width: int) -> Probabilities:
    """The mean over each frame and those around it.

    Args:
        probabilities: by frame, float32 (N, K).
        width: frames that count, of which half lie before and half behind; fewer at both ends.
    """
    count = len(probabilities)
    sums = np.vstack(
        [np.zeros((1, probabilities.shape[1])), np.cumsum(probabilities, axis=0, dtype=np.float64)]
    )
    first = np.maximum(np.arange(count) - width // 2, 0)
    last = np.minimum(np.arange(count) + (width - 1) // 2, count - 1) + 1
    means: Probabilities = ((sums[last] - sums[first]) / (last - first)[:, None]).astype(np.float32)
    return means


def frame_results(
    numbers: Sequence[int],
    seconds: Sequence[float],
    probabilities: Probabilities,
    classes: tuple[str, ...],
    width: int,
    threshold: float,
) -> list[FrameResult]:
    """What was found for each frame, by itself and smoothed over `width` frames."""
    means = smoothed(probabilities, width)
    return [
        FrameResult(number, at, _best(own, classes, 0.0), _best(mean, classes, threshold))
        for number, at, own, mean in zip(numbers, seconds, probabilities, means, strict=True)
    ]


def segments_of(frames: Sequence[FrameResult], end: float) -> list[Segment]:
    """Parts of equal smoothed class, one after the other without a gap.

    Args:
        frames: in the order of time.
        end: when the last one is gone, in seconds.
    """
    parts = [list(part) for _, part in groupby(frames, key=lambda frame: frame.smoothed.name)]
    ends = [part[0].seconds for part in parts[1:]] + [end]
    return [
        Segment(
            part[0].seconds,
            until,
            Guess(part[0].smoothed.name, float(np.mean([one.smoothed.probability for one in part]))),
        )
        for part, until in zip(parts, ends, strict=True)
    ]


def _best(probabilities: Probabilities, classes: tuple[str, ...], threshold: float) -> Guess:
    index = int(probabilities.argmax())
    probability = float(probabilities[index])
    return Guess(classes[index] if probability >= threshold else UNSURE, probability)
