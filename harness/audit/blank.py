"""Images with nothing to see: all of one colour, or nearly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.sentences import counted, listed
from harness.records import Progress

NEARLY = 2.0
"""Standard deviation of a channel's pixels, of 255, below which they are nearly all the same."""
SAME = 8.0
"""How far colours may be apart, of 255, that are nearly one."""
NOTHING_TO_SEE = (
    "All {}s are of one and the same colour, or nearly, so that there is nothing to learn. They may be "
    "masks or class maps, or wrongly converted. Look at the files, and give the pictures themselves."
)
"""Of what is called so."""
LABEL = "looking at pixels"


def deviation(pixels: npt.NDArray[np.uint8]) -> float:
    """The largest of the standard deviations of an image's channels; 0 if each has one value.

    Args:
        pixels: uint8 (H, W, C), or (T, H, W, C) of a clip.
    """
    return float(pixels.std(axis=tuple(range(pixels.ndim - 1)), dtype=np.float32).max())


def nothing_to_see(blank: Sequence[npt.NDArray[np.uint8]]) -> bool:
    """Whether images that are each of one colour, or nearly, are all of the same one.

    Args:
        blank: uint8 (H, W, C) each, or (T, H, W, C) of clips, at least one.
    """
    colours = np.array([pixels.mean(axis=tuple(range(pixels.ndim - 1))) for pixels in blank])
    return bool((colours.max(axis=0) - colours.min(axis=0) < SAME).all())


def _find(facts: Facts, progress: Progress) -> list[Finding]:
    found: dict[int, float] = {}
    readable = facts.readable
    for done, number in enumerate(readable, start=1):
        deviates = deviation(facts.pixels(number))
        if deviates < NEARLY:
            found[number] = deviates
        if done % 5000 == 0 or done == len(readable):
            progress(LABEL, done, len(readable))
    if not found:
        return []
    groups = tuple(Group((number,), _remark(facts, number, found[number])) for number in found)
    if len(found) == len(readable) and nothing_to_see([facts.pixels(number) for number in found]):
        return [Finding(severity="error", sentence=NOTHING_TO_SEE.format(facts.noun), groups=groups)]
    whole = _whole_classes(facts, found)
    others = f" Classes that have no others: {listed(whole)}." if whole else ""
    return [
        Finding(
            severity="warning",
            sentence=f"{counted(len(found), f'{facts.noun} is', f'{facts.noun}s are')} of one colour, or "
            f"nearly: nothing can be learnt from such. Remove them, or fetch them again.{others}",
            groups=groups,
        )
    ]


def _whole_classes(facts: Facts, found: dict[int, float]) -> list[str]:
    """The classes of which every image was found."""
    readable = Counter(facts.label(number) for number in facts.readable)
    blank = Counter(facts.label(number) for number in found)
    return [name for name in blank if blank[name] == readable[name]]


def _remark(facts: Facts, number: int, deviates: float) -> str:
    if deviates > 0:
        return f"its pixels deviate by {deviates:.1f} of 255"
    colour = ", ".join(map(str, facts.pixels(number).reshape(-1, facts.image_shape[2])[0].tolist()))
    return f"every pixel is {colour}"


CHECK = Check(about="blank or nearly blank images", find=_find)
