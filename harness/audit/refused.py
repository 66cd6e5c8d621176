"""Data that a sweep would refuse to train on."""

from __future__ import annotations

from harness.audit.facts import Facts
from harness.audit.finding import Finding
from harness.audit.kind import Check
from harness.records import Progress


def _find(facts: Facts, _: Progress) -> list[Finding]:
    if not facts.refused:
        return []
    return [
        Finding(
            severity="error",
            sentence=f"A sweep would not begin on this data, so that it has no splits yet. {facts.refused}",
        )
    ]


CHECK = Check(about="data that a sweep refuses", find=_find)
