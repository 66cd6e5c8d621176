"""What a process of ours is told and answers, apart from what the code that it runs reads and prints.

A plug-in's code may print, or read from standard input. Neither must be taken for a word of ours.
"""

from __future__ import annotations

import os
from typing import IO


def own_channel() -> tuple[IO[str], IO[str]]:
    """Standard input and output as they are now, for our own use alone.

    From then on this process's standard input is empty, and what it prints goes to standard error.

    Returns:
        What to read requests from, and what to write answers to.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers
