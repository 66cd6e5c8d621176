"""Files that cannot be read as images: damaged, truncated, empty, or something else."""

from __future__ import annotations

from harness.audit.facts import Facts
from harness.audit.finding import Finding, Group
from harness.audit.kind import Check
from harness.data.sentences import counted
from harness.records import Progress

TRUNCATED = ("truncat", "it is empty")
"""What the reasons say of files that end too early."""


def claims_too_much(facts: Facts, number: int) -> bool:
    """Whether a file is not read because its header claims more pixels than are accepted."""
    image = facts.images[number]
    return bool(image.failure) and image.size[0] * image.size[1] > facts.config.max_pixels


def _find(facts: Facts, _: Progress) -> list[Finding]:
    lost = [
        number
        for number, image in enumerate(facts.images)
        if image.failure and not claims_too_much(facts, number)
    ]
    if not lost:
        return []
    short = sum(any(word in facts.images[number].failure.lower() for word in TRUNCATED) for number in lost)
    some = f" ({short:,} truncated or empty)" if short else ""
    return [
        Finding(
            severity="warning",
            sentence=f"{counted(len(lost), 'file')} cannot be read{some}; a sweep leaves such out. Fetch or "
            "convert again what is worth it, and remove the rest.",
            groups=tuple(Group((number,), facts.images[number].failure) for number in lost),
        )
    ]


CHECK = Check(about="unreadable or truncated files", find=_find)
