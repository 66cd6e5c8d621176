"""Images that are square."""

from __future__ import annotations

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.records import Progress


def _find(facts: Facts, _: Progress) -> list[Finding]:
    square = [number for number, image in enumerate(facts.images) if image.size[0] == image.size[1]]
    groups = tuple(Group((number,)) for number in square)
    return [Finding(severity="note", sentence="Some images are square.", groups=groups)] if square else []


CHECK = Check(about="square images", find=_find)
