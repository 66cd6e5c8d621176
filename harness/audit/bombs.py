"""Decompression bombs: small files that claim to be enormous pictures."""

from __future__ import annotations

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.audit.unreadable import claims_too_much
from harness.data.sentences import counted
from harness.records import Progress


def _find(facts: Facts, _: Progress) -> list[Finding]:
    found = [number for number in range(len(facts.images)) if claims_too_much(facts, number)]
    if not found:
        return []
    groups = []
    for number in found:
        height, width = facts.images[number].size
        path = facts.images[number].path
        size = f" in a file of {path.stat().st_size:,} bytes" if path is not None and path.is_file() else ""
        groups.append(Group((number,), f"it claims {height:,}×{width:,} pixels{size}"))
    return [
        Finding(
            severity="warning",
            sentence=f"{counted(len(found), 'file claims', 'files claim')} more than "
            f"{facts.config.max_pixels:,} pixels, as decompression bombs do. Such are not read. Remove "
            "what is no photograph; for genuine ones raise dataset.max_pixels.",
            groups=tuple(groups),
        )
    ]


CHECK = Check(about="decompression bombs", find=_find)
