"""How much of the best trial's score is luck: the images it was chosen by are those it is scored on."""

from __future__ import annotations

import numpy as np

from harness.analysis.bootstrap import Counts, Floats, resampled_means


def luck(values: Floats, counts: Counts) -> float:
    """By how much the best of several trials is probably scored too well.

    In every resample the best trial is chosen, and scored on the images that were not drawn, which had no say
    in it. The mean of these scores is what the choice of the best is worth (the bootstrap bias corrected
    estimate of Tsamardinos, Greasidou and Borboudakis 2018); the best score minus it is luck.

    Args:
        values: larger is better, of M trials for n images, (M, n), of equals the preferred one first.
        counts: of B resamples, (B, n).

    Returns:
        At least 0; in the metric's unit. 0 with a single trial.
    """
    if len(values) == 1:
        return 0.0
    chosen = resampled_means(values, counts).argmax(axis=1)
    left = counts == 0
    images = left.sum(axis=1)
    scored = images > 0
    centre = values.mean(axis=1)
    deviations = (values - centre[:, None]).astype(np.float32)
    sums = np.einsum("bn,bn->b", left[scored], deviations[chosen[scored]], dtype=np.float64)
    honest = centre[chosen[scored]] + sums / images[scored]
    return max(0.0, float(centre.max() - honest.mean()))
