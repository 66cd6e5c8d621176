"""What `harness verify` has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.tables.lines import print_text

if TYPE_CHECKING:
    from harness.analysis.verify import Check


def print_checks(checks: list[Check]) -> None:
    """Print what holds and what does not."""
    for check in checks:
        print_text(check.about, f"{check.name}  {'ok' if not check.problems else 'NOT OK'}  ")
        for problem in check.problems:
            print_text(problem, " " * 4)
        for note in check.notes:
            print_text(f"note: {note}", " " * 4)
