"""Images whose size or proportions are far from those of the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.sentences import counted
from harness.records import Progress

FAR = 6.0
"""Robust standard deviations (1.4826 median absolute deviations) from the median."""
SIDES = 2.5
"""How many times the side has to be another one at least, so that equal sizes make no outlier of a pixel."""
ASPECT = 1.8
"""Likewise, how many times the aspect ratio."""
MOST = 0.1
"""The share of images from which they are no outliers, but another kind."""


def _find(facts: Facts, _: Progress) -> list[Finding]:
    numbers = [number for number in facts.readable if facts.images[number].path is not None]
    if len(numbers) < 3:
        return []
    sizes = np.array([facts.images[number].size for number in numbers], float)
    side, aspect = np.log(sizes.prod(axis=1)) / 2, np.log(sizes[:, 1] / sizes[:, 0])
    height, width = np.median(sizes, axis=0)
    usual = f"the median is {height:.0f}×{width:.0f}"
    found = []
    for far, what, advice in (
        (
            _outliers(side, np.log(SIDES)),
            "much larger or smaller than the others",
            "Brought to one size, such show other detail than the rest.",
        ),
        (
            _outliers(aspect, np.log(ASPECT)),
            "of other proportions than the others",
            "Brought to one size, such are squeezed or stretched.",
        ),
    ):
        if 0 < far.sum() <= MOST * len(numbers):
            groups = [
                Group(
                    (numbers[at],), f"{int(sizes[at, 0])}×{int(sizes[at, 1])} pixels (height×width); {usual}"
                )
                for at in np.flatnonzero(far)
            ]
            found.append(
                Finding(
                    severity="note",
                    sentence=f"{counted(len(groups), f'{facts.noun} is', f'{facts.noun}s are')} {what} "
                    f"({usual}). {advice} Look whether they belong here.",
                    groups=tuple(groups),
                )
            )
    return found


def _outliers(values: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.bool_]:
    """Which values are far from the median: by many robust deviations, and by `least`."""
    away = np.abs(values - np.median(values))
    found: npt.NDArray[np.bool_] = (away > FAR * 1.4826 * np.median(away)) & (away > least)
    return found


CHECK = Check(about="outliers of size and proportions", find=_find)
