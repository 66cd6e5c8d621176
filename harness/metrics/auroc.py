"""The area under the receiver operating characteristic, one class against the others.

For a class it is the chance that an image of the class gets a larger probability of it than an image of
another class does; an equal probability counts half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.metric import Metric, Predictions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.metric import Floats

CHANCE = 0.5
"""What is given where a split holds one class only, so that there is nothing to compare."""


def auroc_macro(found: Predictions) -> float:
    """The mean of the classes that the split holds; 0.5 if it is only one."""
    import numpy as np

    areas = []
    for own, others in _by_class(found):
        areas.append(_shares_below(own, others).mean())
    return float(np.mean(areas)) if areas else CHANCE


def areas_by_image(found: Predictions) -> Floats:
    """Values by image whose mean is the mean area, (N,): what each image wins, as DeLong et al. count it."""
    import numpy as np

    images = len(found.labels)
    changes, areas = np.zeros(images), []
    for name, (own, others) in zip(_compared(found), _by_class(found), strict=True):
        wins, losses = _shares_below(own, others), 1 - _shares_below(others, own)
        areas.append(wins.mean())
        mine = found.labels == name
        changes[mine] += images / len(own) * (wins - areas[-1])
        changes[~mine] += images / len(others) * (losses - areas[-1])
    values: Floats = np.mean(areas) + changes / len(areas) if areas else changes + CHANCE
    return values


def _compared(found: Predictions) -> npt.NDArray[np.int64]:
    """The classes that the split holds, if there are images of others."""
    classes: npt.NDArray[np.int64] = found.held.nonzero()[0]
    return classes if len(classes) > 1 else classes[:0]


def _by_class(found: Predictions) -> list[tuple[Floats, Floats]]:
    """For each class that is compared, its probability for the images of it and for the others."""
    import numpy as np

    wide = found.logits.astype(np.float64)
    shifted = np.exp(wide - wide.max(axis=1, keepdims=True))
    columns = np.ascontiguousarray((shifted / shifted.sum(axis=1, keepdims=True)).T)
    compared = _compared(found)
    return [(columns[name][found.labels == name], columns[name][found.labels != name]) for name in compared]


def _shares_below(values: Floats, others: Floats) -> Floats:
    """For each value the share of the others that are smaller, equal ones by half."""
    import numpy as np

    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    shares: Floats = below / (2 * len(others))
    return shares


AUROC_MACRO = Metric(
    "The mean area under the ROC curve of each class against the others; 0.5 with one class only.",
    maximize=True,
    of=auroc_macro,
    in_tables=False,
    by_image=areas_by_image,
)
