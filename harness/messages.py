"""Parts of error messages: how a value from outside is repeated, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 100
"""Characters of a wrong value that are repeated to the user."""


def shown(value: object) -> str:
    """A value from outside as a message repeats it: on one line, and not for pages."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing when no known word is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def and_list(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
