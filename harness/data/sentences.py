"""Lists of many things as one short phrase."""

from __future__ import annotations

from collections.abc import Iterable

EXAMPLES = 3


def listed(items: Iterable[object], most: int = EXAMPLES) -> str:
    """`a, b, c and 7 more`."""
    every = [str(item) for item in items]
    if len(every) <= most + 1:
        return ", ".join(every)
    return f"{', '.join(every[:most])} and {len(every) - most:,} more"


def as_text(sentence: str) -> str:
    """A sentence that can be written as UTF-8, whatever names of files it holds."""
    return sentence.encode("utf-8", "backslashreplace").decode("utf-8")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 image`, `2 images`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
