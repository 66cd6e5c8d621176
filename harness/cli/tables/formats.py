"""What the formats of an exported model come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.deploy.artefact import Figures

HEAD = (
    "file",
    "size",
    "largest difference",
    "same class",
    "accuracy",
    "lost",
)


def formats_lines(figures: Sequence[Figures], noun: str) -> list[str]:
    """A table, a line for each format; times are medians and 95th percentiles in milliseconds."""
    rows = [(*HEAD, f"one {noun} (p95)", f"32 {noun}s (p95)"), *map(_cells, figures)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]


def _cells(one: Figures) -> tuple[str, ...]:
    return (
        one.file,
        f"{one.size / 1000:,.0f} kB",
        f"{one.largest_difference:.1e}",
        f"{one.same_class} of {one.images}",
        "–" if one.accuracy is None else f"{one.accuracy:.2%}",
        "–" if one.accuracy_lost is None else f"{one.accuracy_lost:.2%}",
        f"{one.single_ms:.2f} ms ({one.single_p95_ms:.2f})",
        f"{one.batch_ms:.1f} ms ({one.batch_p95_ms:.1f})",
    )
