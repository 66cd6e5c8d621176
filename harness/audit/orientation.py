"""Photographs that are stored on their side, with an EXIF tag that says so."""

from __future__ import annotations

import re

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.sentences import counted
from harness.records import Progress

_TURNED = re.compile(r"turned \(EXIF (\d)\)")


def _find(facts: Facts, _: Progress) -> list[Finding]:
    groups = []
    for number, image in enumerate(facts.images):
        if turned := _TURNED.search(image.kind):
            height, width = image.size
            groups.append(Group((number,), f"EXIF orientation {turned[1]}, upright {height}×{width} pixels"))
    if not groups:
        return []
    return [
        Finding(
            severity="note",
            sentence=f"{counted(len(groups), 'photograph is', 'photographs are')} stored turned or "
            "mirrored, with an EXIF tag that says how. "
            "They are trained and served upright; tools that ignore the tag see them otherwise.",
            groups=tuple(groups),
        )
    ]


CHECK = Check(about="photographs that EXIF turns", find=_find, images_only=True)
