"""Images stored in another way than most: CMYK, 16 bits, palette, transparency, several pictures."""

from __future__ import annotations

from dataclasses import dataclass

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group, Severity
from harness.audit.kind import Check
from harness.data.sentences import counted
from harness.records import Progress

MOSTLY = 0.5
"""The share of images from which grey is no oddity."""


@dataclass(frozen=True, slots=True)
class _Mode:
    word: str
    """Among those of a file's kind."""
    severity: Severity
    are: str
    """What such images are."""
    done: str
    """What is done with them, and what to look out for."""


MODES = (
    _Mode(
        "several pictures", "warning", "animated or hold several pictures", "Only the first picture is used."
    ),
    _Mode(
        "transparent",
        "note",
        "transparent in part, or may be",
        "Transparent parts are laid on white; a model may learn that white from them.",
    ),
    _Mode(
        "CMYK",
        "note",
        "CMYK, as for printing",
        "Such are converted to red, green and blue, colours may be off.",
    ),
    _Mode(
        "16 bits", "note", "of more than 8 bits a channel", "Such are brought to 8 bits, all by one range."
    ),
    _Mode(
        "palette",
        "note",
        "stored with a palette",
        "Such are converted; few colours or dithering may give a class away.",
    ),
    _Mode("Lab", "note", "in Lab colours", "Such are converted to red, green and blue."),
    _Mode("YCbCr", "note", "in YCbCr colours", "Such are converted to red, green and blue."),
    _Mode(
        "black and white",
        "note",
        "black and white, one bit a pixel",
        "Such become 0 and 255; that they are so may give a class away.",
    ),
)
GREY = _Mode(
    "grey",
    "note",
    "grey among coloured ones",
    "Such get three equal channels; where they are of few classes, a model may learn the lack of colour.",
)


def _find(facts: Facts, _: Progress) -> list[Finding]:
    words = {number: image.kind.split(", ") for number, image in enumerate(facts.images) if image.kind}
    found = [_finding(facts, mode, [n for n, kind in words.items() if mode.word in kind]) for mode in MODES]
    grey = [number for number, kind in words.items() if any(word.startswith("grey") for word in kind)]
    if len(grey) < MOSTLY * len(words):
        found.append(_finding(facts, GREY, grey))
    return [finding for finding in found if finding is not None]


def _finding(facts: Facts, mode: _Mode, numbers: list[int]) -> Finding | None:
    if not numbers:
        return None
    return Finding(
        severity=mode.severity,
        sentence=f"{counted(len(numbers), 'image is', 'images are')} {mode.are}. {mode.done}",
        groups=tuple(Group((number,), facts.images[number].kind) for number in numbers),
    )


CHECK = Check(
    about="unusual kinds of images (CMYK, 16 bits, palette, alpha, animated)", find=_find, images_only=True
)
