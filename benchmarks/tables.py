"""Results: a table for people, printed and kept, and JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import machine

RESULTS = Path(__file__).parent / "results"


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table with aligned columns."""
    cells = [[str(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def publish(name: str, settings: dict[str, Any], measured: Any, text: str) -> None:
    """Print the text, and write it and all that was measured to `benchmarks/results/`."""
    head = f"{name}: {machine()}\n{', '.join(f'{key} {value}' for key, value in settings.items())}\n"
    print(f"{head}\n{text}")
    RESULTS.mkdir(exist_ok=True)
    whole = {"machine": machine(), "settings": settings, "measured": measured}
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.txt").write_text(f"{head}\n{text}\n", encoding="utf-8")
