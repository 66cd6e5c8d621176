"""Tables of aligned columns that fit the terminal: shortened, or without the least important columns."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from harness.cli import printable
from harness.cli.tables.lines import figure, screen_width

GAP = 2
"""Spaces between columns."""
SIGNS = {"pareto": "yes", "tied": "≈"}
"""What stands in columns of truths where they hold, by the column's name."""
WIDE = 10_000
"""Characters on a line where there is no terminal: lines stay whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    cells: Sequence[str]
    right: bool = False
    """Aligned at the right, as numbers are."""
    importance: int = 0
    """0: it is always shown. Of the others, those with the largest number are left out first."""
    least: int | None = None
    """Characters to which it may be shortened; None: it may not."""

    @property
    def width(self) -> int:
        """Characters of its longest cell, or of its name."""
        return max(map(_length, (self.name, *self.cells)))


def column(name: str, values: Iterable[Any], *, importance: int = 0, least: int | None = None) -> Column:
    """A column of these values, numbers aligned at the right."""
    values = list(values)
    kinds = {type(value) for value in values} - {type(None)}
    return Column(
        name=_on_one_line(name),
        cells=[_on_one_line(_cell(name, value)) for value in values],
        right=bool(kinds) and kinds <= {int, float},
        importance=importance,
        least=least,
    )


def fit(columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    """The columns that fit side by side into so many characters.

    Args:
        columns: of the table, from left to right.
        width: characters on a line.

    Returns:
        The columns that are shown, some of them with shortened cells, and the names of the others. Columns of
        importance 0 are shown even if they do not fit.
    """
    full = [one.width for one in columns]
    narrow = [min(one.least or wide, wide) for one, wide in zip(columns, full, strict=True)]
    shown = list(range(len(columns)))
    while shown and _total([narrow[index] for index in shown]) > width:
        # Of equally important ones, the last.
        least = max(shown, key=lambda index: (columns[index].importance, index))
        if columns[least].importance == 0:
            break
        shown.remove(least)
    for _ in range(width - _total([narrow[index] for index in shown])):
        cut = [index for index in shown if narrow[index] < full[index]]
        if not cut:
            break
        narrow[min(cut, key=lambda index: narrow[index])] += 1
    left_out = [one.name for index, one in enumerate(columns) if index not in shown]
    return [_shortened(columns[index], narrow[index]) for index in shown], left_out


def print_columns(columns: Sequence[Column], *, elsewhere: str) -> None:
    """Print a table; a sentence on standard error names what is left out because the terminal is narrow.

    Args:
        columns: from left to right.
        elsewhere: which options give the whole table, for the sentence.
    """
    width = screen_width()
    if width is None:
        print_lines(columns)
        return
    shown, left_out = fit(columns, width)
    print_lines(shown)
    if left_out:
        print_aside(f"Left out, to fit the screen: {', '.join(left_out)}. Everything is in {elsewhere}.")


def print_aside(sentence: str) -> None:
    """Print a sentence about a table on standard error, as wide as the table may be."""
    width = screen_width()
    if width is not None:
        sentence = textwrap.fill(sentence, width, break_on_hyphens=False)
    print(sentence, file=sys.stderr)


def print_lines(columns: Sequence[Column]) -> None:
    """Print a table as it is, however wide."""
    # Rich's own tables take a millisecond a row.
    head, *lines = zip_longest(*(_aligned(one) for one in columns), fillvalue="")
    console().print(Text(_line(head), style="bold"))
    for line in lines:
        print(_line(line))


def fits(columns: Sequence[Column]) -> bool:
    """Whether the terminal, if there is one, is wide enough for all of the columns, shortened."""
    width = screen_width()
    if width is None:
        return True
    return _total([min(one.least or one.width, one.width) for one in columns]) <= width


def console(width: int = WIDE) -> Console:
    """Rich's console on standard output; lines of up to `width` characters are not broken."""
    return Console(highlight=False, width=width, soft_wrap=width == WIDE)


def _line(cells: Iterable[str]) -> str:
    return (" " * GAP).join(cells).rstrip()


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(0, len(widths) - 1)


def _aligned(one: Column) -> list[str]:
    """The name and the cells, equally wide on a screen."""
    cells = [one.name, *one.cells]
    lengths = [_length(cell) for cell in cells]
    width = max(lengths)
    gaps = [" " * (width - length) for length in lengths]
    return [gap + cell if one.right else cell + gap for cell, gap in zip(cells, gaps, strict=True)]


def _shortened(one: Column, limit: int) -> Column:
    if one.width <= limit:
        return one
    cells = [cell if _length(cell) <= limit else _cut(cell, limit) for cell in (one.name, *one.cells)]
    return Column(name=cells[0], cells=cells[1:], right=one.right, importance=one.importance)


def _cut(cell: str, limit: int) -> str:
    return set_cell_size(cell, limit - 1).rstrip() + "…"


def _length(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def _on_one_line(cell: str) -> str:
    return cell if cell.isprintable() else printable(cell).replace("\n", " ")


def _cell(name: str, value: Any) -> str:
    if value is None and name in SIGNS:
        return ""
    if value is None or value != value:  # NaN is not equal to itself  # noqa: PLR0124
        return "–"
    if name == "seconds":
        return f"{value:.1f}"
    if isinstance(value, bool) and name in SIGNS:
        return SIGNS[name] if value else ""
    return figure(value)
