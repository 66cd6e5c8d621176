"""What an ensemble is worth beside the best trial alone, told honestly.

An average that was chosen by the validation images looks better on them than it is, and so does the best of
many trials. So both are chosen anew by a part of the images and compared on the others, until every image has
had its turn (cross-fitting): what is left of the difference is that of the procedure, on images that had no
say, and is judged image by image as two trials are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from harness.analysis.bootstrap import bca_interval, resamples
from harness.analysis.noise import FEWEST_IMAGES
from harness.analysis.paired import mcnemar
from harness.ensembling.library import Library
from harness.ensembling.selection import Labels, Picks, Probabilities, averaged, best_in_equal_parts
from harness.metrics.counting import predictions_of
from harness.predictions import logarithms
from harness.records import Gain
from harness.seeds import seed_from

PARTS = 5
"""That the images are divided into; ensembles are chosen by all but one."""
Choose: TypeAlias = Callable[[Probabilities, Labels], Picks]
"""How an ensemble is chosen, by what models predict for some images, (M, n, K), and their labels, (n,)."""


def gain_of(library: Library, picks: Picks, choose: Choose, seed: int) -> Gain:
    """Compare an ensemble with the best trial alone.

    Args:
        library: what it was chosen from, the best trial first.
        picks: as `choose` has chosen it by all images.
        choose: how it was chosen.
        seed: the study's.
    """
    labels = library.labels
    best = library.trials[0]
    worth = library.worth(averaged(library.probabilities, picks), labels)
    alone = library.worth(library.probabilities[0], labels)
    gain = Gain(trial=best.number, score=best.score or 0.0, difference=worth - alone)
    by_image = library.metric.by_image
    if by_image is None or len(labels) < FEWEST_IMAGES:
        return gain
    ensemble, single = held_out(library, choose, seed)
    sign = 1 if library.maximize else -1
    found, other = (predictions_of(logarithms(one), labels) for one in (ensemble, single))
    differences = sign * (by_image(found) - by_image(other))
    interval = bca_interval(differences, resamples(len(labels), seed_from(seed, "images")))
    test = mcnemar(found.predicted == labels, other.predicted == labels)
    return Gain(
        trial=gain.trial,
        score=gain.score,
        difference=gain.difference,
        held_out=float(differences.mean()),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        only_ensemble=test.only_first,
        only_trial=test.only_second,
        p=test.p,
    )


def held_out(library: Library, choose: Choose, seed: int) -> tuple[Probabilities, Probabilities]:
    """What ensembles and single trials predict for images that had no say in choosing them.

    Returns:
        Probabilities (n, K) of the ensembles, and of the trials that were the best alone.
    """
    images = len(library.labels)
    part = np.random.default_rng(seed_from(seed, "ensemble")).permutation(images) % PARTS
    ensemble, single = (np.empty(library.probabilities.shape[1:], np.float32) for _ in range(2))
    for number in range(PARTS):
        judged = part == number
        seen, labels = library.probabilities[:, ~judged], library.labels[~judged]
        ensemble[judged] = averaged(library.probabilities[:, judged], choose(seen, labels))
        best = best_in_equal_parts(seen, labels, library.worth, 1)
        single[judged] = averaged(library.probabilities[:, judged], best)
    return ensemble, single
