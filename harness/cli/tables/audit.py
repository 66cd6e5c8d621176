"""What `harness audit` has found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.tables.lines import print_text

if TYPE_CHECKING:
    from harness.audit.audit import Audit
    from harness.audit.facts import Facts
    from harness.audit.finding import Finding, Group

EXAMPLES = 3
"""Images that are named of a finding."""
CLASSES = 20
"""Classes whose images are counted one by one."""
PARTS = ("train", "validation", "test")


def print_audit(audit: Audit, page: Path) -> None:
    """Print counts, findings with a few examples, and what was not found."""
    facts = audit.facts
    shape = "×".join(map(str, facts.example_shape))
    print_text(
        f"{facts.name}: {len(facts.images):,} {facts.noun}s, {len(facts.classes):,} classes, seen as {shape}",
        "data  ",
    )
    _print_classes(facts)
    for note in audit.notes:
        print_text(note, "      ")
    print()
    width = max((len(check) for check, _ in audit.findings), default=0)
    for check, finding in audit.findings:
        count = f"{finding.count:,}" if finding.count else ""
        print_text(finding.sentence, f"{finding.severity:<7}  {check:<{width}}  {count:>7}  ")
        for example in _examples(facts, finding):
            print_text(example, " " * (width + 22))
    if audit.findings:
        print()
    if audit.clean:
        print_text(", ".join(audit.clean), "found nothing  ")
    print_text(str(page), "page           ")


def _print_classes(facts: Facts) -> None:
    counts = facts.counts()
    parts = [part for part in PARTS if any(one[part] for one in counts.values())]
    names = list(facts.classes[:CLASSES])
    more = len(facts.classes) - len(names)
    rows = [("class", *parts), *((name, *(f"{counts[name][part]:,}" for part in parts)) for name in names)]
    total = [f"{sum(counts[name][part] for name in facts.classes):,}" for part in parts]
    rows.append((f"all{f' (of {more:,} more classes too)' if more else ''}", *total))
    widths = [max(len(row[column]) for row in rows) for column in range(len(parts) + 1)]
    for first, *numbers in rows:
        cells = "".join(f"  {cell:>{size}}" for cell, size in zip(numbers, widths[1:], strict=True))
        print_text(f"{first:<{widths[0]}}{cells}", "      ")


def _examples(facts: Facts, finding: Finding) -> list[str]:
    named = [_example(facts, group) for group in finding.groups[:EXAMPLES]]
    named += list(finding.files[: EXAMPLES - len(named)])
    more = len(finding.groups) + len(finding.files) - len(named)
    return [*named, *([f"… and {more:,} more"] if more else [])]


def _example(facts: Facts, group: Group) -> str:
    names = " = ".join(_names(facts, group.images[:EXAMPLES]))
    more = len(group.images) - EXAMPLES
    return (
        f"{names}{f' = … ({more:,} more)' if more > 0 else ''}{f' ({group.remark})' if group.remark else ''}"
    )


def _names(facts: Facts, numbers: Sequence[int]) -> list[str]:
    return [facts.images[number].name for number in numbers]
