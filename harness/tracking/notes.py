"""Sentences for a person, each told once."""

from __future__ import annotations

import threading
from collections.abc import Callable


def told_once(note: Callable[[str], None]) -> Callable[[str], None]:
    """A function that passes each sentence on to `note` once, from whichever thread it comes."""
    told: set[str] = set()
    lock = threading.Lock()

    def tell(sentence: str) -> None:
        with lock:
            if sentence in told:
                return
            told.add(sentence)
        note(sentence)

    return tell
